-- Whether the login may write to a table, whether it may make an index on it, and whether it has partitions.
SELECT has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'), pg_has_role(c.relowner, 'USAGE') AND c.relkind IN ('r', 'p', 'm'),
       c.relkind = 'p'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(name)s
