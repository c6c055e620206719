-- Lives of entities, which hours a model was asked to score, and who was retired: silence is derived from these, not stored hour by hour.

CREATE TABLE tsad.entity_life (
  entity_id int NOT NULL REFERENCES tsad.entity,
  month_at  timestamptz NOT NULL,
  hours     tstzmultirange NOT NULL,
  PRIMARY KEY (entity_id, month_at)
) WITH (fillfactor = 70);
CREATE INDEX entity_life_month ON tsad.entity_life (month_at);
COMMENT ON TABLE tsad.entity_life IS 'The stretches of life of each entity: the hours in which the source had rows of it, by month. A union, so that it is the same in whatever order hours are read.';
COMMENT ON COLUMN tsad.entity_life.month_at IS 'Beginning of the month, UTC.';
COMMENT ON COLUMN tsad.entity_life.hours IS 'Whole hours with rows; neighbouring ones are one range.';
GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.entity_life TO tsad_writer;

INSERT INTO tsad.entity_life (entity_id, month_at, hours)
SELECT r.entity_id, date_trunc('month', r.hour_at, 'UTC'), range_agg(tstzrange(r.hour_at, r.hour_at + interval '1 hour'))
FROM tsad.reading_block r JOIN tsad.entity e USING (entity_id)
GROUP BY 1, 2;

CREATE TABLE tsad.score_hour (
  model_id int NOT NULL REFERENCES tsad.model,
  hour_at  timestamptz NOT NULL,
  is_done  boolean NOT NULL DEFAULT false,
  PRIMARY KEY (model_id, hour_at)
);
COMMENT ON TABLE tsad.score_hour IS 'The ledger of scoring: hours that a model was asked to score, whether or not any entity had readings in them.';
COMMENT ON COLUMN tsad.score_hour.is_done IS 'Whether a run came to the end of it, incidents included.';
GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.score_hour TO tsad_writer;

INSERT INTO tsad.score_hour (model_id, hour_at, is_done)
SELECT DISTINCT b.model_id, b.hour_at, true
FROM tsad.score_block b JOIN tsad.model m USING (model_id)
WHERE b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL;

-- What these rows say, that nothing was read for long, is derived now. Former revisions stay.
DELETE FROM tsad.score_block WHERE status = 'stale' AND superseded_at = 'infinity';

CREATE TABLE tsad.retirement (
  retirement_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entity_id       int NOT NULL REFERENCES tsad.entity,
  from_at         timestamptz NOT NULL,
  origin          text NOT NULL CHECK (origin IN ('person', 'inventory')),
  why             text NOT NULL,
  said_by         text NOT NULL,
  said_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  login           text NOT NULL DEFAULT session_user,
  withdrawn_at    timestamptz,
  withdrawn_by    text,
  withdrawn_why   text,
  withdrawn_login text,
  UNIQUE (entity_id, origin, from_at)
);
COMMENT ON TABLE tsad.retirement IS 'Entities that a person or the source''s inventory said are gone. It holds until it is withdrawn, or the entity has rows of a later hour.';
COMMENT ON COLUMN tsad.retirement.from_at IS 'Gone from then on.';
COMMENT ON COLUMN tsad.retirement.withdrawn_at IS 'When it was taken back; NULL: it was not.';
GRANT SELECT, INSERT, UPDATE ON tsad.retirement TO tsad_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA tsad TO tsad_writer;

CREATE TABLE tsad.inventory (
  entity_id     int PRIMARY KEY REFERENCES tsad.entity,
  carrier       text NOT NULL DEFAULT '',
  retired_since timestamptz,
  noted_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tsad.inventory IS 'What the source''s inventory last said of each entity.';
COMMENT ON COLUMN tsad.inventory.carrier IS 'What carries its readings, such as a gateway; empty: not said.';
COMMENT ON COLUMN tsad.inventory.retired_since IS 'Up to where readings had been read when it was first called retired; NULL: it is not.';
GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.inventory TO tsad_writer;

ALTER TABLE tsad.dataset ADD COLUMN interval_s int, ADD COLUMN wait_s int, ADD COLUMN silence_s int;
COMMENT ON COLUMN tsad.dataset.interval_s IS 'Seconds of an interval; NULL: not known yet.';
COMMENT ON COLUMN tsad.dataset.wait_s IS 'Seconds after its end before which no interval is read; NULL: not known yet.';
COMMENT ON COLUMN tsad.dataset.silence_s IS 'Seconds without rows before which no entity is silent, whatever its habit; NULL: not known yet.';
