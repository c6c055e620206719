-- The end of the newest hour of a dataset that was read from its source.
SELECT max(h.hour_at) + interval '1 hour' AS read_until FROM tsad.ingest_hour h WHERE h.dataset_id = %(dataset_id)s
