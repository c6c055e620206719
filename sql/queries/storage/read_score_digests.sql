-- Digests of the current scored hours of one model, for binary COPY.
SELECT entity_id, hour_at, coalesce(score_digest, 0) AS score_digest
FROM tsad.score_block
WHERE entity_id = ANY(%(entity_ids)s::int[]) AND model_id = %(model_id)s AND superseded_at = 'infinity'
  AND thresholds IS NOT NULL AND hour_at >= %(start_at)s AND hour_at < %(end_at)s
