-- Notes hours that models are asked to score.
INSERT INTO tsad.score_hour (model_id, hour_at)
SELECT model_id, hour_at
FROM unnest(%(model_id)s::int[], %(hour_at)s::timestamptz[]) AS u(model_id, hour_at)
ORDER BY 1, 2
ON CONFLICT DO NOTHING
