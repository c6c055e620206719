-- What stands where an incident that is gone was: of its machine, at that time or within the merge gap, the strangest.
SELECT i.incident_id, d.name AS dataset
FROM tsad.incident g
JOIN tsad.entity e ON e.entity_id = g.entity_id
JOIN tsad.dataset d ON d.dataset_id = e.dataset_id
JOIN tsad.incident i ON i.entity_id = g.entity_id AND i.lineage = g.lineage AND i.superseded_by IS NULL AND i.withdrawn_at IS NULL
WHERE g.incident_id = %(incident_id)s AND g.lineage = 'live' AND i.incident_id <> g.incident_id
  AND i.started_at <= g.last_flag_at + make_interval(secs => d.merge_gap_s)
  AND i.last_flag_at >= g.started_at - make_interval(secs => d.merge_gap_s)
ORDER BY i.peak_score DESC, i.incident_id
LIMIT 1
