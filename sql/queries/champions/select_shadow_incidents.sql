-- Incidents of challenger and champion that touch a range, without suppressed ones: those that people called no fault, and the others.
SELECT (count(*) FILTER (WHERE i.lineage = %(lineage)s || '/shadow'))::int AS n_challenger,
       (count(*) FILTER (WHERE i.lineage = %(lineage)s))::int AS n_champion,
       (count(*) FILTER (WHERE i.lineage = %(lineage)s || '/shadow' AND w.verdict IN ('false_alarm', 'expected')))::int AS n_false_challenger,
       (count(*) FILTER (WHERE i.lineage = %(lineage)s AND w.verdict IN ('false_alarm', 'expected')))::int AS n_false_champion
FROM tsad.incident i
-- A challenger's incidents are seen by nobody: the word on what overlaps them in time counts, whoever raised that.
LEFT JOIN LATERAL (
  SELECT v.verdict FROM tsad.verdict v
  WHERE v.entity_id = i.entity_id AND v.withdrawn_at IS NULL AND v.start_at <= i.last_flag_at AND v.end_at > i.started_at
  ORDER BY v.verdict_id DESC LIMIT 1) w ON true
WHERE i.entity_id = ANY(%(entity_ids)s::int[]) AND i.lineage IN (%(lineage)s, %(lineage)s || '/shadow')
  AND i.last_flag_at >= %(start_at)s AND i.started_at < %(end_at)s
  AND i.superseded_by IS NULL AND i.withdrawn_at IS NULL AND i.suppressed_by IS NULL
