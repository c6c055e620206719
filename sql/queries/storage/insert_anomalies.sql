-- Takes incoming anomalies that are not current yet, as the next revision.
INSERT INTO tsad.anomaly (entity_id, at, hour_at, model_id, revision, kind, severity, error, threshold, score, provisional, known_from)
SELECT i.entity_id, i.at, i.hour_at, i.model_id,
       1 + coalesce(o.revision, 0),
       i.kind, i.severity, i.error, i.threshold, i.score, i.provisional, greatest(%(decided_at)s, o.superseded_at)
FROM incoming_anomaly i
-- A revision never begins before the one that it follows has ended, though the clock was set back.
CROSS JOIN LATERAL (SELECT max(s.revision) AS revision, max(s.superseded_at) AS superseded_at FROM tsad.anomaly s
                    WHERE s.entity_id = i.entity_id AND s.at = i.at AND s.model_id = i.model_id) o
WHERE NOT EXISTS (SELECT FROM tsad.anomaly a WHERE a.entity_id = i.entity_id AND a.at = i.at AND a.model_id = i.model_id
                  AND a.superseded_at = 'infinity')
