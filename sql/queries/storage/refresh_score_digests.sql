-- Rows whose content stands: only their digests may move.
UPDATE tsad.score_block b SET window_digest = i.window_digest, score_digest = coalesce(i.score_digest, b.score_digest)
FROM incoming_score i
WHERE b.entity_id = i.entity_id AND b.hour_at = i.hour_at AND b.model_id = i.model_id AND b.superseded_at = 'infinity'
  AND b.errors = i.errors AND b.reasons = i.reasons
  AND (i.thresholds IS NULL OR (b.thresholds = i.thresholds AND b.scores = i.scores AND b.status = i.status
       AND b.n_seen = i.n_seen AND b.coverage = i.coverage AND b.channel_errors IS NOT DISTINCT FROM i.channel_errors
       AND b.outside IS NOT DISTINCT FROM string_to_array(nullif(i.outside, ''), ',')::int[]))
  AND (b.window_digest, b.score_digest) IS DISTINCT FROM (i.window_digest, coalesce(i.score_digest, b.score_digest))
