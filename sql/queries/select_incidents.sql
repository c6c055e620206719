-- Standing incidents of some entities that touch a range.
SELECT incident_id, entity_id, started_at, last_flag_at
FROM tsad.incident
WHERE lineage = %(lineage)s AND entity_id = ANY(%(entity_ids)s::int[]) AND superseded_by IS NULL AND withdrawn_at IS NULL
  AND last_flag_at >= %(start_at)s AND started_at < %(end_at)s
ORDER BY entity_id, started_at
