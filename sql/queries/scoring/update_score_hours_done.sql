-- Notes that a run came to the end of hours that champions of a lineage were asked to score.
UPDATE tsad.score_hour h SET is_done = true
FROM tsad.champion_period p
WHERE p.dataset_id = %(dataset_id)s AND p.lineage = %(lineage)s AND p.model_id = h.model_id
  AND h.hour_at >= p.valid_from AND h.hour_at < p.valid_to
  AND h.hour_at >= %(start_at)s AND h.hour_at < %(end_at)s AND NOT h.is_done
