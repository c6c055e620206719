-- The newest model of a scope and lineage that passed its gate (before a version, if one is given), where the last word is that it waits.
SELECT n.model_id, n.version, n.train_end_at
FROM (
  SELECT m.model_id, m.version, m.train_end_at FROM tsad.model m
  WHERE m.dataset_id = %(dataset_id)s AND m.scope_entity_id = %(scope_entity_id)s AND m.lineage = %(lineage)s AND m.gate_passed
    AND coalesce(m.version < %(before_version)s::int, true)
  ORDER BY m.version DESC LIMIT 1) n
WHERE (SELECT x.decision FROM tsad.model_decision x WHERE x.model_id = n.model_id ORDER BY x.decision_id DESC LIMIT 1) = 'waiting'
