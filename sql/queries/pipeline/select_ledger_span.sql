-- The first hour of a dataset in a range that had readings, and the last; NULL where there is none.
SELECT min(hour_at) AS first_at, max(hour_at) AS last_at
FROM tsad.ingest_hour
WHERE dataset_id = %(dataset_id)s AND hour_at >= %(start_at)s AND hour_at < %(end_at)s AND n_readings > 0
