-- Advisory lock of the session on one of a source's turns, at once: its number, or NULL where all are taken.
SELECT (SELECT turn FROM generate_series(0, %(n_turns)s - 1) turn
        WHERE pg_try_advisory_lock(hashtext('tsad.source.' || %(connection)s), turn) LIMIT 1)
