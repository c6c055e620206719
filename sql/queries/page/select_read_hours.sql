-- What was read from the source, hour by hour, the newest first.
SELECT hour_at, n_rows, n_readings, newest_at, lag_s, issues FROM tsad.v_ingest WHERE dataset = %(dataset)s ORDER BY hour_at DESC LIMIT %(n)s
