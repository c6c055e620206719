-- By what settings hours of a range were read, where that is known, those that were read last at the end.
SELECT h.hour_at, h.settings AS digest
FROM tsad.ingest_hour h
WHERE h.dataset_id = %(dataset_id)s AND h.hour_at >= %(start_at)s AND h.hour_at < %(end_at)s AND h.settings IS NOT NULL
ORDER BY h.read_at, h.hour_at
