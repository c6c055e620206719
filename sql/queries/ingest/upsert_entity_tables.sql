-- Notes in which tables of a source rows of entities came; what is known already writes nothing.
INSERT INTO tsad.entity_table AS t (entity_id, source, table_name, first_at, last_day)
SELECT u.entity_id, %(source)s, u.table_name, u.first_at, u.last_day
FROM unnest(%(entity_id)s::int[], %(table_name)s::text[], %(first_at)s::timestamptz[], %(last_day)s::date[])
  AS u(entity_id, table_name, first_at, last_day)
ORDER BY 1, 3
ON CONFLICT (entity_id, source, table_name) DO UPDATE
  SET first_at = least(t.first_at, excluded.first_at), last_day = greatest(t.last_day, excluded.last_day)
  WHERE t.first_at > excluded.first_at OR t.last_day < excluded.last_day
