-- Messages that waited until now and are to be told together, oldest first, locked; what another run is sending is skipped.
SELECT n.notification_id, n.key, n.medium, n.connection, n.address, n.payload
FROM tsad.notification n
WHERE n.dataset_id = %(dataset_id)s AND n.delivered_at IS NULL AND n.failed_at IS NULL AND n.bundled_into IS NULL
  AND n.held_until <= %(now)s AND n.attempts = 0 AND n.event <> 'digest'
ORDER BY n.notification_id
FOR UPDATE OF n SKIP LOCKED
