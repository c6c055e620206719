-- The next due message, or of one address, whose predecessors in the thread are settled, locked; what another run is sending is skipped.
SELECT n.notification_id, n.key, n.medium, n.connection, n.address, n.payload, n.attempts, n.n_refused
FROM tsad.notification n
WHERE n.dataset_id = %(dataset_id)s AND n.delivered_at IS NULL AND n.failed_at IS NULL AND n.next_attempt_at <= %(now)s
  AND n.bundled_into IS NULL AND coalesce(n.held_until <= %(now)s, true)
  AND n.connection <> ALL(%(unreachable)s::text[])
  AND (%(only_address)s::text IS NULL OR n.address = %(only_address)s AND n.medium = 'email')
  AND NOT EXISTS (
    SELECT FROM tsad.notification b
    WHERE (b.alert_id = n.alert_id OR b.silence_id = n.silence_id) AND b.notification_id < n.notification_id AND b.medium = n.medium AND b.connection = n.connection
      AND b.address = n.address AND b.delivered_at IS NULL AND b.failed_at IS NULL)
ORDER BY n.notification_id
LIMIT 1
FOR UPDATE OF n SKIP LOCKED
