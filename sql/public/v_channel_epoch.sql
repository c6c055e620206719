CREATE OR REPLACE VIEW tsad.v_channel_epoch AS
  SELECT d.name AS dataset, x.epoch_id, e.name AS entity, c.name AS channel, x.kind, x.from_at, x.declared, x.scale, x."offset",
         x.usable_at, x.n_running_hours, x.needed_hours, x.reason, x.said_by, x.said_at, x.withdrawn_at,
         x.login, x.withdrawn_login
  FROM tsad.channel_epoch x
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.channel c USING (channel_id);

COMMENT ON VIEW tsad.v_channel_epoch IS 'Sensors that were replaced, recalibrated or set to another unit. Say so: SELECT tsad.set_channel_epoch(dataset, entity, channel, from_at, kind, reason).';
COMMENT ON COLUMN tsad.v_channel_epoch.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_channel_epoch.epoch_id IS 'Number of the change.';
COMMENT ON COLUMN tsad.v_channel_epoch.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_channel_epoch.channel IS 'The sensor.';
COMMENT ON COLUMN tsad.v_channel_epoch.kind IS 'replaced, recalibrated or unit.';
COMMENT ON COLUMN tsad.v_channel_epoch.from_at IS 'From when on the sensor is another one.';
COMMENT ON COLUMN tsad.v_channel_epoch.declared IS 'A person gave scale and offset; else they are learned from the first running hours.';
COMMENT ON COLUMN tsad.v_channel_epoch.scale IS 'Former terms = value * scale + offset; NULL: not known yet.';
COMMENT ON COLUMN tsad.v_channel_epoch.offset IS 'Former terms = value * scale + offset; NULL: not known yet.';
COMMENT ON COLUMN tsad.v_channel_epoch.usable_at IS 'From when on it is converted; until then it is unknown, and NULL: still so.';
COMMENT ON COLUMN tsad.v_channel_epoch.n_running_hours IS 'Running hours that were read since from_at, up to those needed; NULL: declared, or not looked at yet.';
COMMENT ON COLUMN tsad.v_channel_epoch.needed_hours IS 'Running hours that scale and offset are learned from.';
COMMENT ON COLUMN tsad.v_channel_epoch.reason IS 'Why it was changed.';
COMMENT ON COLUMN tsad.v_channel_epoch.said_by IS 'Who said so.';
COMMENT ON COLUMN tsad.v_channel_epoch.said_at IS 'When it was said.';
COMMENT ON COLUMN tsad.v_channel_epoch.withdrawn_at IS 'When it was taken back; NULL: it holds.';
COMMENT ON COLUMN tsad.v_channel_epoch.login IS 'The login of Postgres that said it, whatever name was given; NULL: before logins were kept.';
COMMENT ON COLUMN tsad.v_channel_epoch.withdrawn_login IS 'The login that took it back.';

GRANT SELECT ON tsad.v_channel_epoch TO tsad_writer, tsad_reader;
