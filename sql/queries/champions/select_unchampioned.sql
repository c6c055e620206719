-- The newest model of each scope of a lineage that has no champion at any time of a range, and from when on it has one.
SELECT DISTINCT ON (m.scope_entity_id) m.model_id, m.version, e.name AS entity, m.train_end_at, m.folds, m.is_young,
       (SELECT min(p.valid_from) FROM tsad.champion_period p
        WHERE p.dataset_id = m.dataset_id AND p.lineage = m.lineage AND p.scope_entity_id = m.scope_entity_id
          AND p.valid_from >= %(end_at)s::timestamptz) AS champion_from,
       EXISTS (
         SELECT FROM tsad.model_decision x
         WHERE x.model_id = m.model_id AND x.lineage = m.lineage AND x.decision = 'waits_for_person') AS waits_for_person
FROM tsad.model m
LEFT JOIN tsad.entity e ON e.entity_id = m.scope_entity_id
WHERE m.dataset_id = %(dataset_id)s AND m.lineage = %(lineage)s
  AND NOT EXISTS (
    SELECT FROM tsad.champion_period p
    WHERE p.dataset_id = m.dataset_id AND p.lineage = m.lineage AND p.scope_entity_id IN (0, m.scope_entity_id)
      AND p.valid_from < %(end_at)s::timestamptz AND p.valid_to > %(start_at)s::timestamptz)
ORDER BY m.scope_entity_id, m.version DESC
