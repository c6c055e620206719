-- Advisory lock of the session on this one of a source's turns, as soon as it is free.
SELECT pg_advisory_lock(hashtext('tsad.source.' || %(connection)s), %(turn)s)
