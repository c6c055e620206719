"""What a warehouse is made of, as Postgres describes it."""

from __future__ import annotations

from tests.statements import run

_KEPT = (
    "c.relnamespace = 'tsad'::regnamespace AND NOT c.relispartition "
    "AND c.relname NOT LIKE 'readings\\_%%'"
)
_OBJECTS = f"""
SELECT 'relation', c.oid::regclass::text, c.relkind::text, obj_description(c.oid, 'pg_class'),
  c.relacl::text, CASE c.relkind WHEN 'v' THEN pg_get_viewdef(c.oid)
    WHEN 'i' THEN pg_get_indexdef(c.oid) WHEN 'I' THEN pg_get_indexdef(c.oid)
    WHEN 'p' THEN pg_get_partkeydef(c.oid) END
FROM pg_class c WHERE {_KEPT}
  AND NOT EXISTS (SELECT FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
    WHERE i.indexrelid = c.oid AND t.relispartition)
UNION ALL
SELECT 'column', c.oid::regclass::text, a.attnum || ' ' || a.attname,
  format_type(a.atttypid, a.atttypmod), concat_ws(' ', a.attnotnull, a.attidentity, a.attgenerated,
    a.attacl, pg_get_expr(d.adbin, d.adrelid)), col_description(c.oid, a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'v') AND {_KEPT}
UNION ALL
SELECT 'constraint', c.oid::regclass::text, o.conname, pg_get_constraintdef(o.oid),
  obj_description(o.oid, 'pg_constraint'), ''
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid WHERE {_KEPT}
UNION ALL
SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid),
  obj_description(p.oid, 'pg_proc'), p.proacl::text, ''
FROM pg_proc p WHERE p.pronamespace = 'tsad'::regnamespace
UNION ALL
SELECT 'trigger', c.oid::regclass::text, pg_get_triggerdef(t.oid), '', '', ''
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND {_KEPT}
UNION ALL
SELECT 'schema', nspname::text, nspacl::text, obj_description(oid, 'pg_namespace'), '', ''
FROM pg_namespace WHERE nspname = 'tsad'
UNION ALL
SELECT 'extension', extname::text, '', '', '', '' FROM pg_extension
ORDER BY 1, 2, 3, 4
"""  # noqa: S608


def catalogue(uri: str) -> list[tuple[object, ...]]:
    """Tables, columns, types, defaults, constraints, indexes, views, functions, grants and comments
    of a warehouse, without the partitions and views that its rows have made.
    """
    return run(uri, _OBJECTS, ())
