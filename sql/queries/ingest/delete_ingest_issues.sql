-- Clears the issues of hours that were read again; new channels are told by what is known of all hours.
DELETE FROM tsad.ingest_issue WHERE dataset_id = %(dataset_id)s AND hour_at = ANY(%(hours)s::timestamptz[])
  AND issue <> 'new_channel'
