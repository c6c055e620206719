-- Status of every entity and hour of a period, as a lineage's champions left it.
SELECT entity, hour_at, status FROM tsad.v_status
WHERE dataset = %(dataset)s AND lineage = %(lineage)s AND hour_at >= %(start_at)s AND hour_at < %(end_at)s
