-- Messages about incidents, in their order.
SELECT event, medium, address, state, created_at, delivered_at FROM tsad.v_notification WHERE incident_id = ANY(%(incident_ids)s::text[])
ORDER BY notification_id
