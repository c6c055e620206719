-- Takes incoming hours that have no current row, as the next revision.
INSERT INTO tsad.score_block (entity_id, hour_at, model_id, revision, errors, thresholds, scores, reasons, channel_errors, status,
  coverage, n_needed, n_seen, window_digest, score_digest, scored_at)
SELECT i.entity_id, i.hour_at, i.model_id,
       1 + coalesce((SELECT max(o.revision) FROM tsad.score_block o
                     WHERE o.entity_id = i.entity_id AND o.hour_at = i.hour_at AND o.model_id = i.model_id), 0),
       i.errors, i.thresholds, i.scores, i.reasons, i.channel_errors, i.status, i.coverage, i.n_needed, i.n_seen,
       i.window_digest, i.score_digest, %(decided_at)s
FROM incoming_score i
WHERE NOT EXISTS (SELECT FROM tsad.score_block b WHERE b.entity_id = i.entity_id AND b.hour_at = i.hour_at
                  AND b.model_id = i.model_id AND b.superseded_at = 'infinity')
