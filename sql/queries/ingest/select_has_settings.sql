-- Whether the warehouse keeps by what settings hours were read, and this login may see it.
SELECT coalesce(has_table_privilege(to_regclass('tsad.read_settings')::oid, 'SELECT'), false) AS has_settings
