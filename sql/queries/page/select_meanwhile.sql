-- Incidents of other machines of the dataset in a range.
SELECT i.incident_id, i.entity, i.severity, i.started_at, i.sentence FROM tsad.v_incident i
WHERE i.lineage = 'live' AND i.dataset = %(dataset)s AND i.entity <> %(entity)s AND i.last_flag_at >= %(from_at)s AND i.started_at < %(to_at)s
ORDER BY i.started_at, i.entity LIMIT %(n)s
