-- Some news, oldest first: what was decided by whom, rules that were not met, and the live champions by now.
SELECT w.news_id, w.thread::text, w.event, coalesce(x.decided_at, t.decided_at) AS decided_at,
  coalesce(x.decided_by, t.decided_by) AS decided_by, coalesce(x.reason, t.reason) AS reason,
  coalesce(m.train_start_at, t.start_at) AS start_at, coalesce(m.train_end_at, t.end_at) AS end_at,
  e.name AS entity, m.version, f.version AS former_version, c.version AS champion_version, c.n_champions, x.valid_from,
  coalesce(g.failed_rules, '[]') AS failed_rules,
  t.excluded_share, t.left_out, t.pdf, coalesce(m.folds, false) AS folds
FROM tsad.news w
LEFT JOIN tsad.model_decision x ON x.decision_id = w.decision_id
LEFT JOIN tsad.model m ON m.model_id = x.model_id
LEFT JOIN tsad.entity e ON e.entity_id = m.scope_entity_id
LEFT JOIN tsad.model f ON f.model_id = x.former_model_id
LEFT JOIN tsad.training_decision t ON t.decision_id = w.training_decision_id
CROSS JOIN LATERAL (
  SELECT CASE count(*) WHEN 1 THEN max(o.version) END AS version, count(*) AS n_champions
  FROM tsad.champion_period p JOIN tsad.model o ON o.model_id = p.model_id
  WHERE p.dataset_id = w.dataset_id AND p.lineage = 'live' AND p.valid_to = 'infinity'
    AND p.scope_entity_id = coalesce(m.scope_entity_id, p.scope_entity_id)) c
LEFT JOIN LATERAL (
  SELECT jsonb_agg(jsonb_build_object('rule', r.rule, 'value', r.value, 'limit', r.limit_value, 'champion', r.champion_value,
    'note', r.note) ORDER BY r.rule) AS failed_rules
  FROM tsad.gate_decision r
  WHERE r.model_id = m.model_id AND r.stage || '_failed' = w.event AND NOT r.passed) g ON true
WHERE w.news_id = ANY(%(news_ids)s::bigint[])
ORDER BY w.news_id
