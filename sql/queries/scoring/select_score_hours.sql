-- Hours of a range that a model was asked to score.
SELECT hour_at
FROM tsad.score_hour
WHERE model_id = %(model_id)s AND hour_at >= %(start_at)s AND hour_at < %(end_at)s
