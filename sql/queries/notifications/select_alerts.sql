-- Alerts of a dataset that were not withdrawn and may still change, in the order in which they were opened.
SELECT a.alert_id, a.thread::text, e.name AS entity, a.start_at, a.end_at, a.severity, a.state, a.closed_told, a.incident_id, a.sentence, a.channel, a.taken_by, a.group_id
FROM tsad.alert a JOIN tsad.entity e USING (entity_id)
WHERE a.dataset_id = %(dataset_id)s AND a.state <> 'withdrawn'
  AND (a.state = 'open' OR a.end_at >= %(settled_before)s)
ORDER BY a.alert_id
