-- Hours of a dataset's machines in a range by what became of them.
SELECT entity, status, count(*) AS n_hours FROM tsad.v_status
WHERE dataset = %(dataset)s AND lineage = 'live' AND hour_at >= %(from_at)s AND hour_at < %(to_at)s GROUP BY entity, status ORDER BY entity, status
