-- What still refers to each model of a dataset, and whether its bundle was given up.
WITH champion AS (
  SELECT p.model_id, rank() OVER (PARTITION BY p.lineage, p.scope_entity_id ORDER BY max(p.valid_from) DESC)::int AS place
  FROM tsad.champion_period p
  WHERE p.dataset_id = %(dataset_id)s AND p.lineage IN ('live', 'replay')
  GROUP BY p.lineage, p.scope_entity_id, p.model_id),
record AS (
  SELECT r.model_id, r.lineage, r.replaced_at = 'infinity' AND r.valid_to = 'infinity' AS is_in_use,
         CASE WHEN r.valid_to < 'infinity' OR r.replaced_at = 'infinity' THEN r.valid_to
              -- Rolled back: it scored until that moment. A promotion leaves a record with the end that it had instead.
              WHEN NOT EXISTS (SELECT FROM tsad.champion_record s WHERE s.model_id = r.model_id AND s.lineage = r.lineage
                AND s.valid_from = r.valid_from AND s.recorded_at = r.replaced_at) THEN r.replaced_at END AS until
  FROM tsad.champion_record r
  WHERE r.dataset_id = %(dataset_id)s),
used AS (
  SELECT model_id, bool_or(is_in_use) AS is_in_use, max(until) FILTER (WHERE until < 'infinity') AS used_until,
         max(until) FILTER (WHERE lineage NOT LIKE '%%/shadow') AS scored_until
  FROM record
  GROUP BY model_id)
SELECT m.model_id, m.version, m.artifact_uri, m.pruned_at IS NOT NULL AS is_pruned, coalesce(u.is_in_use, false) AS is_in_use,
       EXISTS (SELECT FROM tsad.model_decision x WHERE x.model_id = m.model_id AND x.decision = 'waiting' AND x.decision_id =
                 (SELECT max(y.decision_id) FROM tsad.model_decision y WHERE y.model_id = m.model_id)) AS is_waiting,
       (SELECT min(c.place) FROM champion c WHERE c.model_id = m.model_id) AS place,
       EXISTS (SELECT FROM tsad.model child JOIN used u ON u.model_id = child.model_id AND u.is_in_use
               WHERE child.parent_model_id = m.model_id) AS is_parent_in_use,
       u.scored_until, greatest(m.train_end_at, u.used_until) AS used_until
FROM tsad.model m LEFT JOIN used u ON u.model_id = m.model_id
WHERE m.dataset_id = %(dataset_id)s
ORDER BY m.version
