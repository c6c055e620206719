-- The newest training that stopped and was told of a week ago or more, where no live training went on since.
SELECT w.news_id, floor(extract(epoch FROM %(now)s::timestamptz - w.told_at) / 604800)::int AS week
FROM tsad.training_decision t JOIN tsad.news w ON w.training_decision_id = t.decision_id
WHERE t.dataset_id = %(dataset_id)s::int AND t.lineage = 'live' AND t.decision = 'stopped'
  AND w.told_at <= %(now)s::timestamptz - interval '7 days'
  AND NOT EXISTS (
    SELECT FROM tsad.training_decision x
    WHERE x.dataset_id = t.dataset_id AND x.lineage = t.lineage AND x.recorded_at > t.recorded_at)
  AND NOT EXISTS (
    SELECT FROM tsad.model m
    WHERE m.dataset_id = t.dataset_id AND m.lineage = t.lineage AND m.created_at > t.recorded_at)
ORDER BY t.recorded_at DESC
LIMIT 1
