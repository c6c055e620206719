-- Advisory transaction lock of one dataset and purpose.
SELECT pg_advisory_xact_lock(hashtextextended(%(purpose)s, %(dataset_id)s))
