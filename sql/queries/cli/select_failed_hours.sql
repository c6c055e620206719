-- Hours of entities in a range that failed, by why, the most first.
SELECT detail, count(*) AS n_hours
FROM tsad.v_status
WHERE dataset = %(dataset)s AND lineage = %(lineage)s AND status = 'failed' AND hour_at >= %(start_at)s AND hour_at < %(end_at)s
GROUP BY detail
ORDER BY n_hours DESC, detail
