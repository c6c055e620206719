-- Clears the issues of hours that were read again; what is told of channels and series is not known from their rows alone.
DELETE FROM tsad.ingest_issue WHERE dataset_id = %(dataset_id)s AND hour_at = ANY(%(hours)s::timestamptz[])
  AND issue <> ALL(ARRAY['new_channel', 'new_series', 'renamed_series', 'vanished_series'])
