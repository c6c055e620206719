-- The recorder of Home Assistant, from the schema that keeps times as numbers.
SELECT 'Home Assistant, recorder schema ' || max(schema_version) FROM schema_changes
HAVING to_regclass('states_meta') IS NOT NULL AND max(schema_version) >= 41
