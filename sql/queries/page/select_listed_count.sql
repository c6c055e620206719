-- How many incidents there are of what is asked for, counted up to a limit.
SELECT count(*) FROM (
  SELECT FROM tsad.incident_chains(%(datasets)s::text[], 'live', %(from_at)s, %(to_at)s) c
  WHERE (%(entity)s::text IS NULL OR c.entity = %(entity)s) AND (%(severity)s::text IS NULL OR c.severity = %(severity)s)
    AND (%(word)s::text IS NULL OR strpos(lower(c.sentence || ' ' || c.incident_id), lower(%(word)s)) > 0)
    AND (%(verdict)s::text IS NULL OR coalesce(c.verdict, 'none') = %(verdict)s) AND (%(state)s::text IS NULL OR c.state = %(state)s)
    AND (%(group_id)s::text IS NULL OR c.group_id = %(group_id)s)
  LIMIT %(n)s) one
