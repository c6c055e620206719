-- Takes incoming anomalies that are not current yet, as the next revision.
INSERT INTO tsad.anomaly (entity_id, at, hour_at, model_id, revision, kind, severity, error, threshold, score, provisional, known_from)
SELECT i.entity_id, i.at, i.hour_at, i.model_id,
       1 + coalesce((SELECT max(o.revision) FROM tsad.anomaly o
                     WHERE o.entity_id = i.entity_id AND o.at = i.at AND o.model_id = i.model_id), 0),
       i.kind, i.severity, i.error, i.threshold, i.score, i.provisional, %(decided_at)s
FROM incoming_anomaly i
WHERE NOT EXISTS (SELECT FROM tsad.anomaly a WHERE a.entity_id = i.entity_id AND a.at = i.at AND a.model_id = i.model_id
                  AND a.superseded_at = 'infinity')
