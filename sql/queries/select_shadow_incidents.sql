-- Incidents that touch a range, as the challenger and as the champion saw them.
SELECT (count(*) FILTER (WHERE i.lineage = %(lineage)s || '/shadow'))::int AS n_challenger,
       (count(*) FILTER (WHERE i.lineage = %(lineage)s))::int AS n_champion
FROM tsad.incident i
WHERE i.entity_id = ANY(%(entity_ids)s::int[]) AND i.lineage IN (%(lineage)s, %(lineage)s || '/shadow')
  AND i.last_flag_at >= %(start_at)s AND i.started_at < %(end_at)s AND i.superseded_by IS NULL AND i.withdrawn_at IS NULL
