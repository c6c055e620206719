-- The parts of an incident, from the id of its first, in their order.
WITH RECURSIVE part AS (
  SELECT i.incident_id FROM tsad.incident i WHERE i.incident_id = %(incident_id)s
  UNION
  SELECT n.incident_id FROM part p JOIN tsad.incident n ON n.continues = p.incident_id
  WHERE n.superseded_by IS NULL AND n.withdrawn_at IS NULL)
SELECT v.incident_id, v.severity, v.started_at, v.end_at, v.n_flags, v.peak_score,
       split_part(v.sentence, '; continues INC-', 1) AS sentence
FROM part p CROSS JOIN LATERAL (SELECT * FROM tsad.v_incident i WHERE i.incident_id = p.incident_id OFFSET 0) v
ORDER BY v.started_at
