-- The range that a task of a run worked on, and how far the first part of it goes where it has two.
SELECT start_at, end_at, (counts ->> 'caught_up_until')::timestamptz AS caught_up_until
FROM tsad.run_status WHERE dataset_id = %(dataset_id)s AND run_id = %(run_id)s AND step = %(step)s AND shard = 0
