-- Sensors that are out of order are told once, by the outbox that tells of incidents.

CREATE TABLE tsad.sensor_trouble (
  trouble_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  thread     uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  dataset_id int NOT NULL REFERENCES tsad.dataset,
  noted_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tsad.sensor_trouble IS 'What people were told of sensors that are out of order: those found in one run, in one message.';
COMMENT ON COLUMN tsad.sensor_trouble.thread IS 'Random name of the thread of messages; keys of messages are hashes of it.';

CREATE TABLE tsad.troubled_sensor (
  trouble_id bigint NOT NULL REFERENCES tsad.sensor_trouble,
  entity_id  int NOT NULL REFERENCES tsad.entity,
  channel_id int NOT NULL REFERENCES tsad.channel,
  since_at   timestamptz NOT NULL,
  until_at   timestamptz NOT NULL CHECK (until_at > since_at),
  PRIMARY KEY (trouble_id, entity_id, channel_id)
);
CREATE INDEX troubled_sensor_until ON tsad.troubled_sensor (entity_id, channel_id, until_at);
COMMENT ON TABLE tsad.troubled_sensor IS 'The sensors of a message: nobody is told again of one before it was well for a week.';
COMMENT ON COLUMN tsad.troubled_sensor.since_at IS 'Beginning of the first hour of its finding that was looked at when it was told.';
COMMENT ON COLUMN tsad.troubled_sensor.until_at IS 'End of the last hour of its finding so far.';

ALTER TABLE tsad.notification
  ADD COLUMN trouble_id bigint REFERENCES tsad.sensor_trouble,
  DROP CONSTRAINT notification_event_check,
  DROP CONSTRAINT notification_of_one,
  ADD CONSTRAINT notification_event_check CHECK (event IN
    ('opened', 'escalated', 'taken', 'closed', 'withdrawn', 'digest', 'gate_failed', 'waits_for_person', 'shadow_failed', 'training_stopped',
     'promoted', 'rolled_back', 'silent', 'back', 'outside_experience', 'out_of_order')),
  ADD CONSTRAINT notification_of_one CHECK (num_nonnulls(alert_id, news_id, silence_id, episode_id, trouble_id) = CASE event WHEN 'digest' THEN 0 ELSE 1 END);
CREATE INDEX notification_trouble ON tsad.notification (trouble_id);
COMMENT ON COLUMN tsad.notification.trouble_id IS 'The sensors out of order that it tells of; NULL in all other messages.';

GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.sensor_trouble, tsad.troubled_sensor TO tsad_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA tsad TO tsad_writer;
