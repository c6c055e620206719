-- Messages of a dataset, newest first; only those that were not delivered, if asked.
SELECT notification_id, created_at, event, entity, version, severity, medium, connection, address, state, attempts, next_attempt_at, last_error
FROM tsad.v_notification
WHERE dataset = %(dataset)s AND (state <> 'delivered' OR NOT %(undelivered)s)
ORDER BY notification_id DESC LIMIT %(n)s
