-- What stands of incidents of some entities that touch a range.
SELECT i.incident_id, i.entity_id, i.policy_version, i.started_at, i.last_flag_at, i.n_flags, i.continues
FROM tsad.incident i
WHERE i.lineage = %(lineage)s AND i.entity_id = ANY(%(entity_ids)s::int[]) AND i.superseded_by IS NULL AND i.withdrawn_at IS NULL
  AND i.last_flag_at >= %(start_at)s AND i.started_at < %(end_at)s
ORDER BY i.entity_id, i.started_at
