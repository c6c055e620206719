-- Live decisions after a moment that nobody was told of, as news; gives the number of each.
INSERT INTO tsad.news (dataset_id, event, decision_id, training_decision_id)
SELECT %(dataset_id)s::int, u.event, u.decision_id, u.training_decision_id
FROM (
  SELECT x.decision AS event, x.decision_id, NULL::bigint AS training_decision_id, x.decided_at
  FROM tsad.model_decision x JOIN tsad.model m USING (model_id)
  WHERE m.dataset_id = %(dataset_id)s::int AND x.lineage = 'live'
  UNION ALL
  SELECT 'training_stopped', NULL, t.decision_id, t.recorded_at
  FROM tsad.training_decision t
  WHERE t.dataset_id = %(dataset_id)s::int AND t.lineage = 'live' AND t.decision = 'stopped') u
WHERE u.event = ANY(%(events)s::text[]) AND u.decided_at > %(newer_than)s::timestamptz
ORDER BY u.decided_at, u.decision_id, u.training_decision_id
ON CONFLICT DO NOTHING
RETURNING news_id
