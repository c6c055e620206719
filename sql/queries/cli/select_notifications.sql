-- Messages of a dataset, newest first; only those that were not delivered, if asked.
SELECT created_at, event, entity, version, severity, coalesce(nullif(address, ''), connection) AS "to", state, attempts,
       greatest(next_attempt_at, held_until) AS next_attempt_at, last_error
FROM tsad.v_notification
WHERE dataset = %(dataset)s AND (state <> 'delivered' OR NOT %(undelivered)s)
ORDER BY notification_id DESC LIMIT %(n)s
