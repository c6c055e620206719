-- Closes anomalies of re-scored hours that are not, or not the same, among the incoming ones.
UPDATE tsad.anomaly a SET superseded_at = greatest(%(decided_at)s, a.known_from)
FROM incoming_score h
WHERE a.entity_id = h.entity_id AND a.hour_at = h.hour_at AND a.model_id = h.model_id AND a.superseded_at = 'infinity'
  AND h.thresholds IS NOT NULL
  AND NOT EXISTS (SELECT FROM incoming_anomaly i WHERE i.entity_id = a.entity_id AND i.at = a.at AND i.model_id = a.model_id
    AND i.kind = a.kind AND i.severity = a.severity AND i.error = a.error AND i.threshold = a.threshold AND i.score = a.score
    AND i.provisional = a.provisional)
