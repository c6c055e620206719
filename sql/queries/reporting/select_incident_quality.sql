-- Verdicts on one sensor of an entity in the hours of an incident.
SELECT DISTINCT q.verdict
FROM tsad.quality q JOIN tsad.channel c USING (channel_id)
WHERE q.entity_id = %(entity_id)s AND c.name = %(channel)s AND q.hour_at >= %(start_at)s AND q.hour_at < %(end_at)s
ORDER BY 1
