-- What a training left out.
INSERT INTO tsad.exclusion (model_id, entity_id, start_at, end_at, reason, n_steps, channel)
SELECT %(model_id)s, u.* FROM unnest(%(entity_id)s::int[], %(start_at)s::timestamptz[], %(end_at)s::timestamptz[], %(reason)s::text[],
  %(n_steps)s::bigint[], %(channel)s::text[]) AS u
ON CONFLICT DO NOTHING
