-- Columns of the source tables that match any of the patterns, with what reading them needs to know.
WITH wanted AS (
  SELECT * FROM unnest(%(schemas)s::text[], %(names)s::text[], %(globs)s::boolean[]) AS w(schema, name, glob)
)
SELECT n.nspname, c.relname, has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'),
       c.relkind IN ('r', 'p', 'm'), greatest(c.reltuples, 0)::bigint, a.attname, t.typname, t.typcategory::text, a.attnotnull,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indkey[0] = a.attnum), format_type(t.oid, NULL)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type d ON d.oid = a.atttypid
JOIN pg_type t ON t.oid = CASE WHEN d.typtype = 'd' THEN d.typbasetype ELSE d.oid END
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f')
  AND EXISTS (
    SELECT FROM wanted w
    WHERE CASE WHEN w.schema = '' THEN n.nspname = ANY(current_schemas(false)) ELSE n.nspname LIKE w.schema END
      AND c.relname LIKE w.name
      -- Rows of partitions and of children by inheritance are read with the table that they belong to.
      AND (NOT w.glob OR NOT EXISTS (
        SELECT FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace
        WHERE i.inhrelid = c.oid AND (c.relispartition OR p.relname LIKE w.name AND pn.nspname LIKE coalesce(nullif(w.schema, ''), '%%')))))
ORDER BY 1, 2, a.attnum
