-- A new alert; gives its number and the name of its thread.
INSERT INTO tsad.alert (dataset_id, entity_id, start_at, end_at, severity, state, closed_told, incident_id, sentence, channel, taken_by, group_id)
SELECT e.dataset_id, e.entity_id, %(start_at)s::timestamptz, %(end_at)s::timestamptz, %(severity)s::text, %(state)s::text,
  %(closed_told)s::boolean, %(incident_id)s::text, %(sentence)s::text, %(channel)s::text, %(taken_by)s::text, %(group_id)s::text
FROM tsad.entity e WHERE e.dataset_id = %(dataset_id)s::int AND e.name = %(entity)s
RETURNING alert_id, thread::text
