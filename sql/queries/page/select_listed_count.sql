-- How many incidents there are of what is asked for, counted up to a limit.
SELECT count(*) FROM (
  SELECT FROM tsad.v_incident_chain i
  WHERE i.lineage = 'live' AND i.dataset = ANY(%(datasets)s::text[]) AND i.started_at >= %(since_at)s
  AND (i.started_at >= %(from_at)s OR i.incident_id = ANY(%(lasting)s::text[])) AND i.started_at < %(to_at)s
  AND (%(entity)s::text IS NULL OR i.entity = %(entity)s) AND (%(severity)s::text IS NULL OR i.severity = %(severity)s)
  AND (%(word)s::text IS NULL OR strpos(lower(i.sentence || ' ' || i.incident_id), lower(%(word)s)) > 0)
  AND (%(verdict)s::text IS NULL OR coalesce(i.verdict, 'none') = %(verdict)s) AND (%(state)s::text IS NULL OR i.state = %(state)s)
  AND (%(group_id)s::text IS NULL OR i.group_id = %(group_id)s)
  LIMIT %(n)s) one
