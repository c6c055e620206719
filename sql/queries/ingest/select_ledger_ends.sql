-- The newest hour that was read from the source, and the newest reading found before a moment.
SELECT max(hour_at) AS hour_at, max(newest_at) AS newest_at
FROM tsad.ingest_hour WHERE dataset_id = %(dataset_id)s AND hour_at < %(before_at)s
