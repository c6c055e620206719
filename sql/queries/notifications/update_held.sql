-- Messages that wait of what its address hears more of by now, by keys: they wait no longer than that, since they leave before it.
UPDATE tsad.notification b SET held_until = n.held_until
FROM tsad.notification n
WHERE n.key = ANY(%(keys)s::text[]) AND b.alert_id = n.alert_id AND b.notification_id < n.notification_id
  AND (b.medium, b.connection, b.address) = (n.medium, n.connection, n.address)
  AND b.held_until > coalesce(n.held_until, '-infinity') AND b.delivered_at IS NULL AND b.failed_at IS NULL AND b.bundled_into IS NULL
