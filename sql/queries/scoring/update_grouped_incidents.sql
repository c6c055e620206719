-- Says of incidents that begin in a range of time to which group they belong; the others belong to none.
UPDATE tsad.incident t SET group_id = u.group_id
FROM tsad.incident i
JOIN tsad.entity e USING (entity_id)
LEFT JOIN unnest(%(incident_id)s::text[], %(group_id)s::text[]) AS u(incident_id, group_id) USING (incident_id)
WHERE t.incident_id = i.incident_id AND e.dataset_id = %(dataset_id)s AND i.lineage = %(lineage)s
  AND i.started_at >= %(start_at)s AND i.started_at < %(end_at)s AND i.group_id IS DISTINCT FROM u.group_id
