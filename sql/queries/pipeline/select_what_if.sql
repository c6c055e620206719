-- A lineage beside what people see: hours and steps that both have scored, where they agree, what each flags.
SELECT count(*) FILTER (WHERE n_paired > 0) AS n_hours, coalesce(sum(n_paired), 0)::bigint AS n_paired,
       coalesce(sum(n_agreed), 0)::bigint AS n_agreed, coalesce(sum(n_flags), 0)::bigint AS n_flags,
       coalesce(sum(n_other_flags), 0)::bigint AS n_other_flags
FROM tsad.compare_lineages(%(dataset)s, %(lineage)s, 'live', %(start_at)s, %(end_at)s)
