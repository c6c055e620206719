-- Shared advisory transaction lock: nobody is promoted while scores are written.
SELECT pg_advisory_xact_lock_shared(hashtextextended('champion', %(dataset_id)s))
