-- What people say of a training before it is done, and labels that were taken back.

-- Trainings that a person was asked about -------------------------------------------------------------------------------

CREATE TABLE tsad.training_decision (
  decision_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dataset_id     int NOT NULL REFERENCES tsad.dataset,
  lineage        text NOT NULL,
  start_at       timestamptz NOT NULL,
  end_at         timestamptz NOT NULL CHECK (end_at > start_at),
  decision       text NOT NULL CHECK (decision IN ('approved', 'stopped')),
  decided_by     text NOT NULL,
  reason         text NOT NULL,
  n_readings     bigint NOT NULL,
  n_entities     int NOT NULL,
  excluded_share double precision NOT NULL,
  missing_share  double precision NOT NULL,
  left_out       jsonb NOT NULL,
  jumps          jsonb NOT NULL,
  pdf            text NOT NULL,
  decided_at     timestamptz NOT NULL,
  UNIQUE (dataset_id, lineage, end_at, decided_at)
);
COMMENT ON TABLE tsad.training_decision IS 'Trainings that a person was asked about, what was shown of them, and what came of it; never changed.';
COMMENT ON COLUMN tsad.training_decision.decided_at IS 'When it was answered, by which the same answer again is the same row.';

CREATE VIEW tsad.v_training_decision AS
  SELECT d.name AS dataset, x.decision_id, x.lineage, x.start_at, x.end_at, x.decision, x.decided_by, x.reason, x.n_readings,
         x.n_entities, x.excluded_share, x.missing_share, x.left_out, x.jumps, x.pdf, x.decided_at
  FROM tsad.training_decision x
  JOIN tsad.dataset d USING (dataset_id);
COMMENT ON VIEW tsad.v_training_decision IS 'Trainings that a person was asked about (training.preview: manual, or tsad retrain --preview), and what came of it.';
COMMENT ON COLUMN tsad.v_training_decision.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_training_decision.decision_id IS 'Number of the decision.';
COMMENT ON COLUMN tsad.v_training_decision.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_training_decision.start_at IS 'Beginning of the training range, included.';
COMMENT ON COLUMN tsad.v_training_decision.end_at IS 'Its end, not included.';
COMMENT ON COLUMN tsad.v_training_decision.decision IS 'approved: it was trained; stopped: it was not, and the champion stayed.';
COMMENT ON COLUMN tsad.v_training_decision.decided_by IS 'Who answered; nobody: training.unanswered decided.';
COMMENT ON COLUMN tsad.v_training_decision.reason IS 'How it was answered.';
COMMENT ON COLUMN tsad.v_training_decision.n_readings IS 'Running readings of the range that are not left out.';
COMMENT ON COLUMN tsad.v_training_decision.n_entities IS 'Entities in it.';
COMMENT ON COLUMN tsad.v_training_decision.excluded_share IS 'Share of the running readings that is left out.';
COMMENT ON COLUMN tsad.v_training_decision.missing_share IS 'Share of values that were not read, of the channel where it is largest.';
COMMENT ON COLUMN tsad.v_training_decision.left_out IS 'Share of the running readings left out, by reason.';
COMMENT ON COLUMN tsad.v_training_decision.jumps IS 'Channels whose centre moved most since the training before, in its scales: entity, channel, before, now, shift.';
COMMENT ON COLUMN tsad.v_training_decision.pdf IS 'Where the pictures are.';
COMMENT ON COLUMN tsad.v_training_decision.decided_at IS 'When it was answered.';

-- Labels that were taken back stay, and count for nothing ----------------------------------------------------------------

ALTER TABLE tsad.label RENAME TO label_record;
ALTER TABLE tsad.label_record ADD COLUMN withdrawn_at timestamptz, ADD COLUMN withdrawn_by text,
  ADD CONSTRAINT label_record_withdrawn_by CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL)),
  DROP CONSTRAINT label_entity_id_start_at_end_at_origin_key;
CREATE UNIQUE INDEX label_record_one ON tsad.label_record (entity_id, start_at, end_at, origin) WHERE withdrawn_at IS NULL;
CREATE INDEX label_record_withdrawn ON tsad.label_record (entity_id) WHERE withdrawn_at IS NOT NULL;
COMMENT ON TABLE tsad.label_record IS 'Known anomalies, from the source table, a person or a file, and those that were taken back.';
COMMENT ON COLUMN tsad.label_record.withdrawn_at IS 'When it was taken back; NULL: it holds. What the source says of this range again is not taken.';

CREATE VIEW tsad.label AS
  SELECT label_id, entity_id, start_at, end_at, kind, origin, note FROM tsad.label_record WHERE withdrawn_at IS NULL;
COMMENT ON VIEW tsad.label IS 'The known anomalies that hold: what trainings leave out, and models are judged by.';

CREATE OR REPLACE VIEW tsad.v_label AS
  SELECT d.name AS dataset, e.name AS entity, l.start_at, l.end_at, l.kind, l.origin, l.note, l.label_id, l.withdrawn_at, l.withdrawn_by
  FROM tsad.label_record l
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id);
COMMENT ON VIEW tsad.v_label IS 'Known anomalies, and those that were taken back. Add one: SELECT tsad.add_label(dataset, entity, start_at, end_at, kind, note).';
COMMENT ON COLUMN tsad.v_label.withdrawn_at IS 'When it was taken back; NULL: it holds.';
COMMENT ON COLUMN tsad.v_label.withdrawn_by IS 'Who took it back.';

CREATE OR REPLACE FUNCTION tsad.add_label(dataset text, entity text, start_at timestamptz, end_at timestamptz, kind text DEFAULT 'anomaly', note text DEFAULT '', origin text DEFAULT 'person')
RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  machine int;
  new_id  int;
BEGIN
  SELECT e.entity_id INTO machine FROM tsad.entity e JOIN tsad.dataset d USING (dataset_id)
  WHERE d.name = add_label.dataset AND e.name = add_label.entity;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected an entity of the dataset %. Received: %.', dataset, entity USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF start_at IS NULL OR end_at IS NULL OR NOT isfinite(start_at) OR NOT isfinite(end_at) OR start_at >= end_at THEN
    RAISE EXCEPTION 'Expected a beginning before its end. Received: % and %.', start_at, end_at USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF origin IS NULL OR origin NOT IN ('person', 'file') THEN
    RAISE EXCEPTION 'Expected the origin person or file. Received: %.', origin USING ERRCODE = 'invalid_parameter_value';
  END IF;
  INSERT INTO tsad.label_record AS l (entity_id, start_at, end_at, kind, origin, note)
  VALUES (machine, add_label.start_at, add_label.end_at, coalesce(nullif(add_label.kind, ''), 'anomaly'), add_label.origin,
          coalesce(add_label.note, ''))
  ON CONFLICT (entity_id, start_at, end_at, origin) WHERE withdrawn_at IS NULL
  DO UPDATE SET kind = EXCLUDED.kind, note = EXCLUDED.note
  RETURNING l.label_id INTO new_id;
  RETURN new_id;
END $$;

CREATE FUNCTION tsad.withdraw_label(label_id int, withdrawn_by text DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE tsad.label_record l
  SET withdrawn_at = clock_timestamp(), withdrawn_by = coalesce(nullif(withdraw_label.withdrawn_by, ''), session_user)
  WHERE l.label_id = withdraw_label.label_id AND l.withdrawn_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected the label_id of a label that holds (see tsad.v_label). Received: %.', label_id
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN label_id;
END $$;
COMMENT ON FUNCTION tsad.withdraw_label IS 'Takes back a label, whoever set it: trainings learn the range, and nothing is judged by it. To correct one, take it back and add another.';

-- Roles ------------------------------------------------------------------------------------------------------------------

GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.training_decision TO tsad_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA tsad TO tsad_writer;
GRANT SELECT ON tsad.v_training_decision TO tsad_writer, tsad_reader;
GRANT SELECT ON tsad.label TO tsad_writer, tsad_reader;
REVOKE ALL ON FUNCTION tsad.withdraw_label FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.withdraw_label TO tsad_writer, tsad_reader;
