-- Clears the issues of hours that were read again.
DELETE FROM tsad.ingest_issue WHERE dataset_id = %(dataset_id)s AND hour_at = ANY(%(hours)s::timestamptz[])
