-- Models of a dataset, newest first, with the latest time from which each was champion of a lineage.
SELECT m.model_id, m.version, m.scope_entity_id, m.artifact_uri, m.sha256, m.pruned_at, max(p.valid_from) AS valid_from
FROM tsad.model m LEFT JOIN tsad.champion_period p ON p.model_id = m.model_id AND p.lineage = %(lineage)s
WHERE m.dataset_id = %(dataset_id)s
GROUP BY m.model_id ORDER BY m.version DESC
