-- Takes incoming hours that have no current row, as the next revision.
INSERT INTO tsad.score_block (entity_id, hour_at, model_id, revision, errors, thresholds, scores, reasons, channel_errors, status,
  coverage, n_needed, n_seen, window_digest, score_digest, scored_at, outside)
SELECT i.entity_id, i.hour_at, i.model_id,
       1 + coalesce(o.revision, 0),
       i.errors, i.thresholds, i.scores, i.reasons, i.channel_errors, i.status, i.coverage, i.n_needed, i.n_seen,
       i.window_digest, i.score_digest, greatest(%(decided_at)s, o.superseded_at),
       string_to_array(nullif(i.outside, ''), ',')::int[]
FROM incoming_score i
-- A revision never begins before the one that it follows has ended, though the clock was set back.
CROSS JOIN LATERAL (SELECT max(s.revision) AS revision, max(s.superseded_at) AS superseded_at FROM tsad.score_block s
                    WHERE s.entity_id = i.entity_id AND s.hour_at = i.hour_at AND s.model_id = i.model_id) o
WHERE NOT EXISTS (SELECT FROM tsad.score_block b WHERE b.entity_id = i.entity_id AND b.hour_at = i.hour_at
                  AND b.model_id = i.model_id AND b.superseded_at = 'infinity')
