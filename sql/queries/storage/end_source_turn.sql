-- The session's advisory lock on one of a source's turns is given back.
SELECT pg_advisory_unlock(hashtext('tsad.source.' || %(connection)s), %(turn)s)
