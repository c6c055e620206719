-- Closes the revision of hours whose content changed.
UPDATE tsad.score_block b SET superseded_at = greatest(%(decided_at)s, b.scored_at)
FROM incoming_score i
WHERE b.entity_id = i.entity_id AND b.hour_at = i.hour_at AND b.model_id = i.model_id AND b.superseded_at = 'infinity'
  AND i.thresholds IS NOT NULL AND b.thresholds IS NOT NULL
  AND NOT (b.errors = i.errors AND b.reasons = i.reasons AND b.thresholds = i.thresholds AND b.scores = i.scores
           AND b.status = i.status AND b.n_seen = i.n_seen AND b.coverage = i.coverage
           AND b.channel_errors IS NOT DISTINCT FROM i.channel_errors
           AND b.outside IS NOT DISTINCT FROM string_to_array(nullif(i.outside, ''), ',')::int[])
