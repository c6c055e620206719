-- Makes the partitions of some months.
SELECT tsad.ensure_partition(%(parent)s, month_at) FROM unnest(%(months)s::timestamptz[]) AS m(month_at)
