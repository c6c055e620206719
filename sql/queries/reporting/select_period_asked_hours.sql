-- Hours of a period that runs of a lineage came to the end of, whether or not any entity had rows in them.
SELECT DISTINCT h.hour_at
FROM tsad.score_hour h
JOIN tsad.champion_period p ON p.model_id = h.model_id AND h.hour_at >= p.valid_from AND h.hour_at < p.valid_to
JOIN tsad.dataset d USING (dataset_id)
WHERE d.name = %(dataset)s AND p.lineage = %(lineage)s AND h.is_done AND h.hour_at >= %(start_at)s AND h.hour_at < %(end_at)s
