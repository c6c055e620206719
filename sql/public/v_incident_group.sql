CREATE OR REPLACE VIEW tsad.v_incident_group AS
  SELECT g.group_id, d.name AS dataset, g.lineage, g.headline, m.severity, m.state, g.started_at, m.last_flag_at, g.n_entities,
         g.n_all_entities, m.n_incidents, m.last_flag_at + make_interval(secs => d.step_s) AS end_at, m.priority
  FROM tsad.incident_group g
  JOIN tsad.dataset d USING (dataset_id)
  CROSS JOIN LATERAL (
    SELECT max(i.last_flag_at) AS last_flag_at, count(*)::int AS n_incidents, min(i.priority) AS priority,
           (array_agg(i.severity ORDER BY array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], i.severity)))[1] AS severity,
           CASE WHEN bool_or(i.state = 'open') THEN 'open' ELSE 'closed' END AS state
    FROM tsad.v_incident_chain i WHERE i.group_id = g.group_id) m;

COMMENT ON VIEW tsad.v_incident_group IS 'Incidents of at least three machines of a dataset that began within 15 minutes of the first: one headline. Its incidents are those of v_incident with its group_id.';
COMMENT ON COLUMN tsad.v_incident_group.group_id IS 'Hash of dataset, lineage, first machine and first flag.';
COMMENT ON COLUMN tsad.v_incident_group.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_incident_group.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_incident_group.headline IS 'How many machines of those of which rows came then, what most of them have in common, and since when.';
COMMENT ON COLUMN tsad.v_incident_group.severity IS 'The worst of its incidents: LOW, MEDIUM or HIGH.';
COMMENT ON COLUMN tsad.v_incident_group.state IS 'open: some incident of it is; else closed.';
COMMENT ON COLUMN tsad.v_incident_group.started_at IS 'First flag of the first incident.';
COMMENT ON COLUMN tsad.v_incident_group.last_flag_at IS 'Last flag of all.';
COMMENT ON COLUMN tsad.v_incident_group.n_entities IS 'Machines whose incidents began together.';
COMMENT ON COLUMN tsad.v_incident_group.n_all_entities IS 'Machines of which rows came in the hour in which it began.';
COMMENT ON COLUMN tsad.v_incident_group.n_incidents IS 'Incidents, those that were cut counted once.';
COMMENT ON COLUMN tsad.v_incident_group.end_at IS 'End of the step of the last flag of all, not included; so far, where it is open.';
COMMENT ON COLUMN tsad.v_incident_group.priority IS '1 is the most urgent, 5 the least: that of the most urgent of its incidents; see v_incident.';

GRANT SELECT ON tsad.v_incident_group TO tsad_writer, tsad_reader;
