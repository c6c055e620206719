-- Groups to which incidents belong that alerts stand for.
SELECT i.incident_id, i.group_id, g.headline
FROM tsad.incident i JOIN tsad.incident_group g USING (group_id)
WHERE i.incident_id = ANY(%(incident_ids)s::text[]) AND i.superseded_by IS NULL AND i.withdrawn_at IS NULL
