-- Whether the warehouse has been migrated.
SELECT to_regclass('tsad.dataset') IS NOT NULL AS has_schema
