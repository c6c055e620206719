-- Shared advisory transaction lock: no series gets another name while hours are read by theirs.
SELECT pg_advisory_xact_lock_shared(hashtextextended('series', %(dataset_id)s))
