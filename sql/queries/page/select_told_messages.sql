-- Messages about an incident, in their order.
SELECT event, medium, address, state, created_at, delivered_at FROM tsad.v_notification WHERE incident_id = %(incident_id)s ORDER BY notification_id
