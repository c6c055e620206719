-- Incidents of a rehearsal in a range, but for those that maintenance holds, the worst first.
SELECT i.incident_id, e.name AS entity, i.severity, i.started_at, i.last_flag_at, i.peak_score, i.sentence
FROM tsad.incident i
JOIN tsad.entity e USING (entity_id)
WHERE e.dataset_id = %(dataset_id)s AND i.lineage = 'rehearsal' AND i.superseded_by IS NULL AND i.withdrawn_at IS NULL
  AND i.suppressed_by IS NULL AND i.started_at >= %(start_at)s AND i.started_at < %(end_at)s
ORDER BY array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], i.severity), i.peak_score DESC, i.started_at, i.incident_id
