CREATE OR REPLACE VIEW tsad.v_maintenance AS
  SELECT d.name AS dataset, w.window_id, e.name AS entity, w.start_at, w.end_at, w.rrule, w.zone, w.margin_before_s, w.margin_after_s,
         w.title, w.created_by, w.created_at, w.withdrawn_at,
         w.login, w.withdrawn_login
  FROM tsad.maintenance_window w
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.entity e ON e.entity_id = w.entity_id;

COMMENT ON VIEW tsad.v_maintenance IS 'Maintenance windows, and those that were withdrawn. Add one: SELECT tsad.add_maintenance(dataset, start_at, end_at, title).';
COMMENT ON COLUMN tsad.v_maintenance.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_maintenance.window_id IS 'Number of the maintenance window.';
COMMENT ON COLUMN tsad.v_maintenance.entity IS 'The machine or host; NULL: all of the dataset.';
COMMENT ON COLUMN tsad.v_maintenance.start_at IS 'Beginning, included.';
COMMENT ON COLUMN tsad.v_maintenance.end_at IS 'End, not included.';
COMMENT ON COLUMN tsad.v_maintenance.rrule IS 'How it recurs (RFC 5545), on the wall clock of zone; NULL: it does not.';
COMMENT ON COLUMN tsad.v_maintenance.zone IS 'Time zone in which it recurs.';
COMMENT ON COLUMN tsad.v_maintenance.margin_before_s IS 'Seconds before it that count as inside.';
COMMENT ON COLUMN tsad.v_maintenance.margin_after_s IS 'Seconds after it that count as inside.';
COMMENT ON COLUMN tsad.v_maintenance.title IS 'What is done.';
COMMENT ON COLUMN tsad.v_maintenance.created_by IS 'Who added it.';
COMMENT ON COLUMN tsad.v_maintenance.created_at IS 'When it was added.';
COMMENT ON COLUMN tsad.v_maintenance.withdrawn_at IS 'When it was taken back; NULL: it holds.';
COMMENT ON COLUMN tsad.v_maintenance.login IS 'The login of Postgres that said it, whatever name was given; NULL: before logins were kept.';
COMMENT ON COLUMN tsad.v_maintenance.withdrawn_login IS 'The login that took it back.';

GRANT SELECT ON tsad.v_maintenance TO tsad_writer, tsad_reader;
