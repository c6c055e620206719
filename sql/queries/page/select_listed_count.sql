-- How many incidents there are of what is asked for, counted up to a limit.
WITH RECURSIVE part AS (
  SELECT v.incident_id, v.continues, v.started_at FROM tsad.v_incident v
  WHERE v.lineage = 'live' AND v.last_flag_at >= %(from_at)s AND (v.started_at < %(from_at)s OR v.continues IS NOT NULL)
  UNION
  SELECT f.incident_id, f.continues, f.started_at FROM part p
  CROSS JOIN LATERAL (SELECT v.incident_id, v.continues, v.started_at FROM tsad.v_incident v WHERE v.incident_id = p.continues OFFSET 0) f
), lasting AS (SELECT array_agg(p.incident_id) AS ids, coalesce(min(p.started_at), %(from_at)s) AS since_at FROM part p WHERE p.started_at < %(from_at)s)
SELECT count(*) FROM (
  SELECT FROM tsad.v_incident_chain i
  WHERE i.lineage = 'live' AND i.dataset = ANY(%(datasets)s::text[]) AND i.started_at >= (SELECT l.since_at FROM lasting l)
  AND (i.started_at >= %(from_at)s OR i.incident_id = ANY((SELECT l.ids FROM lasting l)::text[])) AND i.started_at < %(to_at)s
  AND (%(entity)s::text IS NULL OR i.entity = %(entity)s) AND (%(severity)s::text IS NULL OR i.severity = %(severity)s)
  AND (%(word)s::text IS NULL OR strpos(lower(i.sentence || ' ' || i.incident_id), lower(%(word)s)) > 0)
  AND (%(verdict)s::text IS NULL OR coalesce(i.verdict, 'none') = %(verdict)s) AND (%(state)s::text IS NULL OR i.state = %(state)s)
  AND (%(group_id)s::text IS NULL OR i.group_id = %(group_id)s)
  LIMIT %(n)s) one
