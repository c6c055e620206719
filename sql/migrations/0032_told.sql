-- Former reasons of retirements stay.
ALTER TABLE tsad.retirement DROP CONSTRAINT retirement_entity_id_origin_from_at_key;
CREATE UNIQUE INDEX retirement_by_inventory ON tsad.retirement (entity_id, from_at) WHERE origin = 'inventory';
CREATE UNIQUE INDEX retirement_by_person ON tsad.retirement (entity_id, from_at) WHERE origin = 'person' AND withdrawn_at IS NULL;

-- A reference in another unit is none.
ALTER TABLE tsad.commissioning_reference ADD COLUMN meaning text;
COMMENT ON COLUMN tsad.commissioning_reference.meaning IS 'What the values were: the signal, with the time of a rate, the period of an angle or the state of a share; NULL: as its model says, of before this was kept.';

-- Conditions outside of what training saw: each time is told once, by the outbox that tells of incidents.
CREATE TABLE tsad.outside_episode (
  episode_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  thread     uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  dataset_id int NOT NULL REFERENCES tsad.dataset,
  channel_id int NOT NULL REFERENCES tsad.channel,
  since_at   timestamptz NOT NULL,
  noted_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX outside_episode_channel ON tsad.outside_episode (channel_id, since_at);
COMMENT ON TABLE tsad.outside_episode IS 'What people were told of setpoints, loads and ambient conditions outside of what training saw: one channel, of all entities at which that was found together.';
COMMENT ON COLUMN tsad.outside_episode.thread IS 'Random name of the thread of messages; keys of messages are hashes of it.';
COMMENT ON COLUMN tsad.outside_episode.since_at IS 'Beginning of the first hour outside, of any of its entities, when it was told.';

CREATE TABLE tsad.outside_entity (
  episode_id bigint NOT NULL REFERENCES tsad.outside_episode,
  entity_id  int NOT NULL REFERENCES tsad.entity,
  since_at   timestamptz NOT NULL,
  PRIMARY KEY (episode_id, entity_id)
);
CREATE INDEX outside_entity_since ON tsad.outside_entity (entity_id, since_at);
COMMENT ON TABLE tsad.outside_entity IS 'The entities of an episode outside of experience.';
COMMENT ON COLUMN tsad.outside_entity.since_at IS 'Beginning of its first hour outside, when it was told.';

ALTER TABLE tsad.notification
  ADD COLUMN episode_id bigint REFERENCES tsad.outside_episode,
  DROP CONSTRAINT notification_event_check,
  DROP CONSTRAINT notification_of_one,
  ADD CONSTRAINT notification_event_check CHECK (event IN
    ('opened', 'escalated', 'closed', 'withdrawn', 'digest', 'gate_failed', 'shadow_failed', 'training_stopped', 'promoted', 'rolled_back',
     'silent', 'back', 'outside_experience')),
  ADD CONSTRAINT notification_of_one CHECK (num_nonnulls(alert_id, news_id, silence_id, episode_id) = CASE event WHEN 'digest' THEN 0 ELSE 1 END);
CREATE INDEX notification_episode ON tsad.notification (episode_id);
COMMENT ON COLUMN tsad.notification.episode_id IS 'The condition outside of experience that it tells of; NULL in all other messages.';

-- Hours outside of experience are few among all.
CREATE INDEX score_block_outside ON tsad.score_block (hour_at) WHERE outside IS NOT NULL AND superseded_at = 'infinity';

GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.outside_episode, tsad.outside_entity TO tsad_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA tsad TO tsad_writer;
