-- To whom something of these alerts was said.
SELECT DISTINCT n.alert_id, n.medium, n.connection, n.address
FROM tsad.notification n
WHERE n.alert_id = ANY(%(alert_ids)s::bigint[])
