-- ThingsBoard 3 and 4 with telemetry in PostgreSQL.
SELECT 'ThingsBoard' WHERE to_regclass('ts_kv') IS NOT NULL AND to_regclass('key_dictionary') IS NOT NULL AND to_regclass('device') IS NOT NULL
