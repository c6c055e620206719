-- The ledger of a range.
SELECT hour_at, read_until, read_at, n_rows, n_readings, newest_at, lag_s, updated_until, settings, asked_from,
  asked_until
FROM tsad.ingest_hour WHERE dataset_id = %(dataset_id)s AND hour_at >= %(start_at)s AND hour_at < %(end_at)s ORDER BY hour_at
