-- Incidents before a moment of which some part lasts into the time after it, and since when the first of them began.
WITH RECURSIVE part AS (
  SELECT v.incident_id, v.continues, v.started_at FROM tsad.v_incident v
  WHERE v.lineage = %(lineage)s AND v.last_flag_at >= %(from_at)s AND (v.started_at < %(from_at)s OR v.continues IS NOT NULL)
  UNION
  SELECT f.incident_id, f.continues, f.started_at FROM part p
  CROSS JOIN LATERAL (SELECT v.incident_id, v.continues, v.started_at FROM tsad.v_incident v WHERE v.incident_id = p.continues OFFSET 0) f
)
SELECT coalesce(min(p.started_at), %(from_at)s) AS since_at, coalesce(array_agg(p.incident_id), '{}') AS lasting
FROM part p WHERE p.started_at < %(from_at)s
