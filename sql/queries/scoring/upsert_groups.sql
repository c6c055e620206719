-- Writes groups, element by element; unchanged content writes nothing.
INSERT INTO tsad.incident_group AS t (group_id, dataset_id, lineage, started_at, n_entities, n_all_entities, headline)
SELECT u.group_id, %(dataset_id)s, %(lineage)s, u.started_at, u.n_entities, u.n_all_entities, u.headline
FROM unnest(%(group_id)s::text[], %(started_at)s::timestamptz[], %(n_entities)s::int[], %(n_all_entities)s::int[], %(headline)s::text[])
  AS u(group_id, started_at, n_entities, n_all_entities, headline)
ON CONFLICT (group_id) DO UPDATE
  SET n_entities = EXCLUDED.n_entities, n_all_entities = EXCLUDED.n_all_entities, headline = EXCLUDED.headline, updated_at = clock_timestamp()
  WHERE (t.n_entities, t.n_all_entities, t.headline) IS DISTINCT FROM (EXCLUDED.n_entities, EXCLUDED.n_all_entities, EXCLUDED.headline)
