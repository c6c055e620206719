-- Who takes care of an incident, and until when it waits: said on the page, kept as verdicts are, by entity and time.
CREATE TABLE tsad.triage (
  triage_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entity_id     int NOT NULL REFERENCES tsad.entity,
  incident_id   text NOT NULL,
  start_at      timestamptz NOT NULL,
  end_at        timestamptz NOT NULL,
  taken_by      text,
  snoozed_until timestamptz,
  said_by       text NOT NULL,
  said_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  login         text DEFAULT session_user,
  CHECK (end_at > start_at)
);
CREATE INDEX ON tsad.triage (entity_id, triage_id);
COMMENT ON TABLE tsad.triage IS 'Who has an incident in hand, and until when it is snoozed. The latest row that overlaps an incident counts; none is changed.';
COMMENT ON COLUMN tsad.triage.taken_by IS 'Who has it in hand; NULL: nobody.';
COMMENT ON COLUMN tsad.triage.snoozed_until IS 'The page lists it as waiting until then; NULL: it is not snoozed.';
COMMENT ON COLUMN tsad.triage.login IS 'The login of Postgres that said it, whatever name was given.';
GRANT SELECT, INSERT ON tsad.triage TO tsad_writer;

-- A list of incidents is read newest first, a page at a time.
CREATE INDEX incident_newest ON tsad.incident (lineage, started_at, incident_id) WHERE superseded_by IS NULL AND withdrawn_at IS NULL;

-- The page draws an incident by the report's own code, under an operator's login. These tables hold what the views and reading functions
-- show him anyway; notifications, whose rows hold addresses, stay closed.
GRANT SELECT ON tsad.dataset, tsad.entity, tsad.channel, tsad.layout, tsad.reading_block, tsad.score_block, tsad.unscored_hour, tsad.anomaly,
  tsad.attribution, tsad.incident, tsad.quality, tsad.model, tsad.entity_scale, tsad.channel_epoch, tsad.fitted_channel, tsad.ingest_hour,
  tsad.maintenance_window, tsad.read_settings, tsad.score_hour
  TO tsad_operator;
