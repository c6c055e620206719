-- Advisory lock of the session: one upgrade at a time.
SELECT pg_advisory_lock(%(key)s)
