-- Silences: who was told to have stopped, grouped by what carries it, told by the outbox that tells of incidents.

CREATE TABLE tsad.silence (
  silence_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  thread     uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  dataset_id int NOT NULL REFERENCES tsad.dataset,
  carrier    text NOT NULL,
  is_whole   boolean NOT NULL,
  since_at   timestamptz NOT NULL,
  noted_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX silence_dataset ON tsad.silence (dataset_id);
COMMENT ON TABLE tsad.silence IS 'What people were told to be silent: entities of one carrier that stopped at about the same time, in one message.';
COMMENT ON COLUMN tsad.silence.thread IS 'Random name of the thread of messages; keys of messages are hashes of it.';
COMMENT ON COLUMN tsad.silence.carrier IS 'What carries them by the source''s inventory; empty: not said.';
COMMENT ON COLUMN tsad.silence.is_whole IS 'Whether nothing was heard of any entity of the dataset.';
COMMENT ON COLUMN tsad.silence.since_at IS 'End of the last hour with rows of any of them.';

CREATE TABLE tsad.silent_entity (
  silence_id bigint NOT NULL REFERENCES tsad.silence,
  entity_id  int NOT NULL REFERENCES tsad.entity,
  since_at   timestamptz NOT NULL,
  ended_at   timestamptz,
  is_back    boolean,
  PRIMARY KEY (silence_id, entity_id),
  CHECK ((ended_at IS NULL) = (is_back IS NULL))
);
CREATE UNIQUE INDEX silent_entity_now ON tsad.silent_entity (entity_id) WHERE ended_at IS NULL;
COMMENT ON TABLE tsad.silent_entity IS 'The entities of a silence, and since when each of them is no longer a part of it.';
COMMENT ON COLUMN tsad.silent_entity.since_at IS 'End of its last hour with rows, when it was told.';
COMMENT ON COLUMN tsad.silent_entity.ended_at IS 'Up to where the source had been read when it ended; NULL: it is silent.';
COMMENT ON COLUMN tsad.silent_entity.is_back IS 'Whether it spoke again; false: it was retired, or others of its silence are back and it is part of a later one.';

ALTER TABLE tsad.notification
  ADD COLUMN silence_id bigint REFERENCES tsad.silence,
  DROP CONSTRAINT notification_event_check,
  DROP CONSTRAINT notification_of_one,
  ADD CONSTRAINT notification_event_check CHECK (event IN
    ('opened', 'escalated', 'closed', 'withdrawn', 'digest', 'gate_failed', 'shadow_failed', 'training_stopped', 'promoted', 'rolled_back',
     'silent', 'back')),
  ADD CONSTRAINT notification_of_one CHECK (num_nonnulls(alert_id, news_id, silence_id) = CASE event WHEN 'digest' THEN 0 ELSE 1 END);
CREATE INDEX notification_silence ON tsad.notification (silence_id);
COMMENT ON COLUMN tsad.notification.silence_id IS 'The silence that it tells of; NULL in all other messages.';

GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.silence, tsad.silent_entity TO tsad_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA tsad TO tsad_writer;

-- What v_health asks: the newest row of a dataset, and the newest that is a failure.
CREATE INDEX run_status_newest ON tsad.run_status (dataset_id, finished_at);
CREATE INDEX run_status_failed ON tsad.run_status (dataset_id, finished_at) WHERE state NOT IN ('done', 'nothing_to_do', 'not_yet');
