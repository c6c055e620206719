-- Advisory lock of the session on this one of a source's turns, where it comes free within a quarter of a minute.
SELECT set_config('lock_timeout', '15s', true), pg_advisory_lock(hashtext('tsad.source.' || %(connection)s), %(turn)s)
