-- Current errors of one model, for binary COPY; NaN stands for NULL.
SELECT entity_id, hour_at, window_digest, array_replace(errors, NULL, 'NaN'::real) AS errors
FROM tsad.score_block
WHERE entity_id = ANY(%(entity_ids)s::int[]) AND model_id = %(model_id)s AND superseded_at = 'infinity'
  AND hour_at >= %(start_at)s AND hour_at < %(end_at)s
