-- Incidents of a dataset that touch a range, for the lanes of its machines; the newest ones where there are more than fit.
SELECT i.incident_id, i.entity, i.severity, i.started_at, i.end_at, i.peak_score, i.sentence, i.suppressed_by IS NOT NULL AS suppressed
FROM tsad.v_incident i
WHERE i.lineage = 'live' AND i.dataset = %(dataset)s AND i.last_flag_at >= %(from_at)s AND i.started_at < %(to_at)s
ORDER BY i.started_at DESC LIMIT %(n)s
