-- In which tables of a source rows of entities came, since when, and on which day last.
SELECT entity_id, table_name, first_at, last_day
FROM tsad.entity_table
WHERE entity_id = ANY(%(entity_ids)s::int[]) AND source = %(source)s
ORDER BY 1, 2
