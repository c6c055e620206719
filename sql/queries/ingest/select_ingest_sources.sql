-- What each of several sources had of the hours of a range.
SELECT hour_at, source, n_rows, newest_at, updated_until
FROM tsad.ingest_source WHERE dataset_id = %(dataset_id)s AND hour_at >= %(start_at)s AND hour_at < %(end_at)s ORDER BY hour_at, source
