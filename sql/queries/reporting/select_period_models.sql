-- Models that spoke for a part of a period, newest first, then challengers of the period that never became champion.
SELECT m.model_id, m.version, e.name AS entity, m.detector, m.n_parameters, m.train_start_at, m.train_end_at, m.seed, m.sha256,
       m.is_young, tsad.weekdays_text(m.weekdays_seen) AS unknown_weekdays, m.card, m.gate_passed, p.valid_from, nullif(p.valid_to, 'infinity') AS valid_to, p.decided_at, p.reason
FROM tsad.model m
LEFT JOIN tsad.entity e ON e.entity_id = m.scope_entity_id
LEFT JOIN tsad.champion_period p ON p.model_id = m.model_id AND p.lineage = %(lineage)s
WHERE m.dataset_id = %(dataset_id)s AND m.lineage = %(lineage)s
  AND (p.valid_from < %(end_at)s AND p.valid_to > %(start_at)s
       OR p.model_id IS NULL AND m.train_end_at >= %(start_at)s AND m.train_end_at < %(end_at)s)
ORDER BY p.model_id IS NULL, p.valid_from DESC, m.version DESC
