-- To whom something of these alerts was said: the worst of it, and whether all of it still waits.
SELECT n.alert_id, n.medium, n.connection, n.address,
  (array_agg(n.payload ->> 'severity' ORDER BY array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], n.payload ->> 'severity')))[1] AS severity,
  bool_and(n.delivered_at IS NULL AND coalesce(n.held_until > %(now)s, false)) AS is_waiting
FROM tsad.notification n
WHERE n.alert_id = ANY(%(alert_ids)s::bigint[])
GROUP BY n.alert_id, n.medium, n.connection, n.address
