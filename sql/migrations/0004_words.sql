-- What people say of incidents and times, and what a machine was like when it was commissioned.

-- Verdicts ------------------------------------------------------------------------------------------------------------

CREATE TABLE tsad.verdict (
  verdict_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entity_id    int NOT NULL REFERENCES tsad.entity,
  start_at     timestamptz NOT NULL,
  end_at       timestamptz NOT NULL CHECK (end_at > start_at),
  incident_id  text,
  verdict      text NOT NULL CHECK (verdict IN ('confirmed', 'expected', 'false_alarm', 'new_normal', 'sensor_fault')),
  channel_id   int REFERENCES tsad.channel,
  said_by      text NOT NULL,
  note         text NOT NULL DEFAULT '',
  said_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  withdrawn_at timestamptz
);
CREATE INDEX ON tsad.verdict (entity_id, start_at);
COMMENT ON TABLE tsad.verdict IS 'People''s words on incidents. Bound to entity and time: whatever incident overlaps is meant, and the latest one counts.';
COMMENT ON COLUMN tsad.verdict.incident_id IS 'The incident that it was said of; late readings may have put another one in its place. NULL: it was said of a range.';
COMMENT ON COLUMN tsad.verdict.channel_id IS 'The channel that is meant; NULL: all of the entity.';

CREATE FUNCTION tsad.add_verdict(dataset text, entity text, start_at timestamptz, end_at timestamptz, verdict text, said_by text DEFAULT NULL, note text DEFAULT '', channel text DEFAULT NULL, incident_id text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  machine record;
  sensor  int;
  new_id  bigint;
BEGIN
  SELECT e.entity_id, e.dataset_id INTO machine FROM tsad.entity e JOIN tsad.dataset d USING (dataset_id)
  WHERE d.name = add_verdict.dataset AND e.name = add_verdict.entity;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected an entity of the dataset %. Received: %.', dataset, entity USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF start_at IS NULL OR end_at IS NULL OR NOT isfinite(start_at) OR NOT isfinite(end_at) OR start_at >= end_at THEN
    RAISE EXCEPTION 'Expected a beginning before its end. Received: % and %.', start_at, end_at USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF verdict IS NULL OR verdict NOT IN ('confirmed', 'expected', 'false_alarm', 'new_normal', 'sensor_fault') THEN
    RAISE EXCEPTION 'Expected confirmed, expected, false_alarm, new_normal or sensor_fault. Received: %.', verdict
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF channel IS NOT NULL THEN
    SELECT c.channel_id INTO sensor FROM tsad.channel c WHERE c.dataset_id = machine.dataset_id AND c.name = add_verdict.channel;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'Expected a channel of the dataset. Received: %.', channel USING ERRCODE = 'invalid_parameter_value';
    END IF;
  END IF;
  INSERT INTO tsad.verdict (entity_id, start_at, end_at, incident_id, verdict, channel_id, said_by, note)
  VALUES (machine.entity_id, add_verdict.start_at, add_verdict.end_at, add_verdict.incident_id, add_verdict.verdict, sensor,
          coalesce(nullif(add_verdict.said_by, ''), session_user), coalesce(add_verdict.note, ''))
  RETURNING verdict_id INTO new_id;
  RETURN new_id;
END $$;
COMMENT ON FUNCTION tsad.add_verdict IS 'Says the same of a range that no incident tells, such as a slow shift that is the new normal.';

CREATE FUNCTION tsad.set_verdict(incident_id text, verdict text, said_by text DEFAULT NULL, note text DEFAULT '', channel text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  target record;
BEGIN
  SELECT d.name AS dataset, e.name AS entity, i.started_at, i.last_flag_at + make_interval(secs => d.step_s) AS end_at INTO target
  FROM tsad.incident i JOIN tsad.entity e USING (entity_id) JOIN tsad.dataset d USING (dataset_id)
  WHERE i.incident_id = set_verdict.incident_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected the incident_id of an incident (see tsad.v_incident). Received: %.', incident_id
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN tsad.add_verdict(target.dataset, target.entity, target.started_at, target.end_at, verdict, said_by, note, channel, incident_id);
END $$;
COMMENT ON FUNCTION tsad.set_verdict IS 'Says what an incident was: confirmed, expected, false_alarm, new_normal or sensor_fault. The latest verdict counts; confirmed, expected and sensor_fault are kept out of trainings, false_alarm and new_normal are learned.';

CREATE FUNCTION tsad.withdraw_verdict(incident_id text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  taken_back bigint;
BEGIN
  UPDATE tsad.verdict w SET withdrawn_at = clock_timestamp()
  WHERE w.verdict_id = (
    SELECT v.verdict_id FROM tsad.verdict v JOIN tsad.incident i USING (entity_id)
    WHERE i.incident_id = withdraw_verdict.incident_id AND v.start_at <= i.last_flag_at AND v.end_at > i.started_at
      AND v.withdrawn_at IS NULL
    ORDER BY v.verdict_id DESC LIMIT 1)
  RETURNING w.verdict_id INTO taken_back;
  IF taken_back IS NULL THEN
    RAISE EXCEPTION 'Expected an incident with a verdict. Received: %.', incident_id USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN taken_back;
END $$;
COMMENT ON FUNCTION tsad.withdraw_verdict IS 'Takes back the verdict on an incident that counts; the one before it, if there is one, counts again.';

-- Labels --------------------------------------------------------------------------------------------------------------

CREATE FUNCTION tsad.add_label(dataset text, entity text, start_at timestamptz, end_at timestamptz, kind text DEFAULT 'anomaly', note text DEFAULT '', origin text DEFAULT 'person')
RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
  INSERT INTO tsad.label AS l (entity_id, start_at, end_at, kind, origin, note)
  VALUES (machine, add_label.start_at, add_label.end_at, coalesce(nullif(add_label.kind, ''), 'anomaly'), add_label.origin,
          coalesce(add_label.note, ''))
  ON CONFLICT ON CONSTRAINT label_entity_id_start_at_end_at_origin_key DO UPDATE SET kind = EXCLUDED.kind, note = EXCLUDED.note
  RETURNING l.label_id INTO new_id;
  RETURN new_id;
END $$;
COMMENT ON FUNCTION tsad.add_label IS 'Says that an entity had a known anomaly in [start_at, end_at): kept out of trainings, and a test for models. The same range again changes kind and note.';

-- Maintenance ---------------------------------------------------------------------------------------------------------

CREATE TABLE tsad.maintenance_window (
  window_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dataset_id      int NOT NULL REFERENCES tsad.dataset,
  entity_id       int REFERENCES tsad.entity,
  start_at        timestamptz NOT NULL,
  end_at          timestamptz NOT NULL CHECK (end_at > start_at),
  rrule           text,
  zone            text NOT NULL,
  margin_before_s int NOT NULL DEFAULT 0 CHECK (margin_before_s >= 0),
  margin_after_s  int NOT NULL DEFAULT 0 CHECK (margin_after_s >= 0),
  title           text NOT NULL CHECK (title <> ''),
  created_by      text NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  withdrawn_at    timestamptz
);
CREATE INDEX ON tsad.maintenance_window (dataset_id);
COMMENT ON TABLE tsad.maintenance_window IS 'Times in which people work on machines: incidents wholly inside do not count, and nothing is learned from them.';
COMMENT ON COLUMN tsad.maintenance_window.entity_id IS 'NULL: all entities of the dataset.';
COMMENT ON COLUMN tsad.maintenance_window.rrule IS 'How [start_at, end_at) recurs (RFC 5545), on the wall clock of zone; NULL: it does not.';

CREATE FUNCTION tsad.add_maintenance(dataset text, start_at timestamptz, end_at timestamptz, title text, entity text DEFAULT NULL, rrule text DEFAULT NULL, zone text DEFAULT NULL, margin_before_s int DEFAULT 0, margin_after_s int DEFAULT 0, created_by text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  found_dataset record;
  machine       int;
  new_id        bigint;
BEGIN
  SELECT d.dataset_id, d.site_zone INTO found_dataset FROM tsad.dataset d WHERE d.name = add_maintenance.dataset;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected a dataset that was ingested before. Received: %.', dataset USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF entity IS NOT NULL THEN
    SELECT e.entity_id INTO machine FROM tsad.entity e
    WHERE e.dataset_id = found_dataset.dataset_id AND e.name = add_maintenance.entity;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'Expected an entity of the dataset %. Received: %.', dataset, entity USING ERRCODE = 'invalid_parameter_value';
    END IF;
  END IF;
  IF start_at IS NULL OR end_at IS NULL OR NOT isfinite(start_at) OR NOT isfinite(end_at) OR start_at >= end_at THEN
    RAISE EXCEPTION 'Expected a beginning before its end. Received: % and %.', start_at, end_at USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF coalesce(title, '') = '' THEN
    RAISE EXCEPTION 'Expected a title. Received: nothing.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF margin_before_s IS NULL OR margin_after_s IS NULL OR margin_before_s < 0 OR margin_after_s < 0 THEN
    RAISE EXCEPTION 'Expected margins in seconds, 0 or more. Received: % and %.', margin_before_s, margin_after_s
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF zone IS NOT NULL AND NOT EXISTS (SELECT FROM pg_timezone_names z WHERE z.name = add_maintenance.zone) THEN
    RAISE EXCEPTION 'Expected an IANA time zone such as Europe/Berlin. Received: %.', zone USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- Every part is one that the expansion can read: a rule that it cannot would stop the merging of incidents.
  IF rrule IS NOT NULL AND (rrule !~ ('^FREQ=(YEARLY|MONTHLY|WEEKLY|DAILY)(;('
      || 'INTERVAL=[1-9][0-9]{0,3}|COUNT=[1-9][0-9]{0,4}|UNTIL=[0-9]{8}(T([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]Z?)?'
      || '|WKST=(MO|TU|WE|TH|FR|SA|SU)|BYDAY=([+-]?[1-5])?(MO|TU|WE|TH|FR|SA|SU)(,([+-]?[1-5])?(MO|TU|WE|TH|FR|SA|SU))*'
      || '|BYMONTH=([1-9]|1[0-2])(,([1-9]|1[0-2]))*|BYMONTHDAY=-?([1-9]|[12][0-9]|3[01])(,-?([1-9]|[12][0-9]|3[01]))*'
      || '|BYSETPOS=-?[1-9][0-9]?))*$')
      OR (rrule ~ 'COUNT=' AND rrule ~ 'UNTIL=') OR (rrule ~ 'BYDAY=[^;]*[1-5]' AND rrule !~ '^FREQ=(YEARLY|MONTHLY)')) THEN
    RAISE EXCEPTION 'Expected a rule of RFC 5545 such as FREQ=WEEKLY;BYDAY=SU (FREQ first; INTERVAL, COUNT or UNTIL, WKST, BYDAY, BYMONTH, BYMONTHDAY, BYSETPOS). Received: %.', rrule
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- Refuses a day that the calendar does not have.
  PERFORM to_date(substring(rrule FROM 'UNTIL=([0-9]{8})'), 'YYYYMMDD');
  INSERT INTO tsad.maintenance_window (dataset_id, entity_id, start_at, end_at, rrule, zone, margin_before_s, margin_after_s, title, created_by)
  VALUES (found_dataset.dataset_id, machine, add_maintenance.start_at, add_maintenance.end_at, add_maintenance.rrule,
          coalesce(add_maintenance.zone, found_dataset.site_zone), add_maintenance.margin_before_s, add_maintenance.margin_after_s,
          add_maintenance.title, coalesce(nullif(add_maintenance.created_by, ''), session_user))
  RETURNING window_id INTO new_id;
  RETURN new_id;
END $$;
COMMENT ON FUNCTION tsad.add_maintenance IS 'Adds a maintenance window [start_at, end_at), of one entity or of all, recurring by rrule on the wall clock of zone (default: the site''s). Counts for the past too, from the next run on (tsad maintenance add: at once).';

CREATE FUNCTION tsad.withdraw_maintenance(window_id bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE tsad.maintenance_window w SET withdrawn_at = clock_timestamp()
  WHERE w.window_id = withdraw_maintenance.window_id AND w.withdrawn_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected the window_id of a maintenance window that holds (see tsad.v_maintenance). Received: %.', window_id
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN window_id;
END $$;
COMMENT ON FUNCTION tsad.withdraw_maintenance IS 'Takes back a maintenance window; its incidents count again from the next run on.';

ALTER TABLE tsad.incident ADD COLUMN suppressed_by text;
COMMENT ON COLUMN tsad.incident.suppressed_by IS 'The maintenance window that holds the whole incident; NULL: none. It stays stored, and does not alert.';

-- Commissioning -------------------------------------------------------------------------------------------------------

CREATE TABLE tsad.commissioning_reference (
  reference_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  lineage      text NOT NULL,
  entity_id    int NOT NULL REFERENCES tsad.entity,
  channel_id   int NOT NULL REFERENCES tsad.channel,
  median       double precision NOT NULL,
  spread       double precision NOT NULL CHECK (spread > 0),
  from_at      timestamptz NOT NULL,
  to_at        timestamptz NOT NULL CHECK (to_at > from_at),
  model_id     int NOT NULL REFERENCES tsad.model,
  verdict_id   bigint REFERENCES tsad.verdict,
  recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  replaced_at  timestamptz NOT NULL DEFAULT 'infinity'
);
CREATE UNIQUE INDEX commissioning_reference_one ON tsad.commissioning_reference (lineage, entity_id, channel_id)
  WHERE replaced_at = 'infinity';
COMMENT ON TABLE tsad.commissioning_reference IS
  'What was normal of each channel when its entity was first trained on: median and spread. Only a verdict new_normal puts another one in its place, so that a slow fault is not retrained into normal.';
COMMENT ON COLUMN tsad.commissioning_reference.verdict_id IS 'The verdict new_normal that gave rise to it; NULL: the first training.';

-- Public SQL ----------------------------------------------------------------------------------------------------------

CREATE OR REPLACE VIEW tsad.v_incident AS
  SELECT i.incident_id, d.name AS dataset, e.name AS entity, i.lineage, i.severity, i.kind,
         CASE WHEN h.scored_until IS NULL OR i.last_flag_at + make_interval(secs => d.merge_gap_s) >= h.scored_until
              THEN 'open' ELSE 'closed' END AS state,
         i.started_at, i.last_flag_at, i.n_flags, i.peak_score, i.peak_at, c.name AS channel, i.sentence,
         i.provisional, i.policy_version, i.model_id, i.updated_at, w.verdict, i.suppressed_by
  FROM tsad.incident i
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.channel c ON c.channel_id = i.top_channel_id
  LEFT JOIN LATERAL (
    SELECT max(b.hour_at) + interval '1 hour' AS scored_until
    FROM tsad.score_block b
    WHERE b.entity_id = i.entity_id AND b.superseded_at = 'infinity' AND b.status IN ('scored', 'partial', 'unknown_entity_scale')
      AND b.thresholds IS NOT NULL AND b.hour_at >= i.last_flag_at - interval '1 hour') h ON true
  LEFT JOIN LATERAL (
    SELECT v.verdict FROM tsad.verdict v
    WHERE v.entity_id = i.entity_id AND v.withdrawn_at IS NULL AND v.start_at <= i.last_flag_at AND v.end_at > i.started_at
    ORDER BY v.verdict_id DESC LIMIT 1) w ON true
  WHERE i.superseded_by IS NULL AND i.withdrawn_at IS NULL AND i.lineage IN ('live', 'replay');
COMMENT ON COLUMN tsad.v_incident.verdict IS 'What a person said of it last: confirmed, expected, false_alarm, new_normal or sensor_fault; NULL: nothing yet.';
COMMENT ON COLUMN tsad.v_incident.suppressed_by IS 'The maintenance window that holds all of it, so that nobody is alerted; NULL: none.';

CREATE VIEW tsad.v_verdict AS
  SELECT d.name AS dataset, e.name AS entity, c.name AS channel, v.start_at, v.end_at, v.verdict, v.said_by, v.note, v.said_at,
         v.withdrawn_at, v.incident_id, v.verdict_id
  FROM tsad.verdict v
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.channel c USING (channel_id);
COMMENT ON VIEW tsad.v_verdict IS 'Everything that people said of incidents. Say something: SELECT tsad.set_verdict(incident_id, verdict, said_by, note).';

CREATE VIEW tsad.v_label AS
  SELECT d.name AS dataset, e.name AS entity, l.start_at, l.end_at, l.kind, l.origin, l.note, l.label_id
  FROM tsad.label l
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id);
COMMENT ON VIEW tsad.v_label IS 'Known anomalies. Add one: SELECT tsad.add_label(dataset, entity, start_at, end_at, kind, note).';

CREATE VIEW tsad.v_maintenance AS
  SELECT d.name AS dataset, w.window_id, e.name AS entity, w.start_at, w.end_at, w.rrule, w.zone, w.margin_before_s, w.margin_after_s,
         w.title, w.created_by, w.created_at, w.withdrawn_at
  FROM tsad.maintenance_window w
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.entity e ON e.entity_id = w.entity_id;
COMMENT ON VIEW tsad.v_maintenance IS 'Maintenance windows, and those that were withdrawn. Add one: SELECT tsad.add_maintenance(dataset, start_at, end_at, title).';

CREATE VIEW tsad.v_reference AS
  SELECT d.name AS dataset, e.name AS entity, c.name AS channel, c.unit, r.lineage, r.median, r.spread, r.from_at, r.to_at, r.model_id,
         r.verdict_id, r.recorded_at, r.replaced_at
  FROM tsad.commissioning_reference r
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.channel c USING (channel_id);
COMMENT ON VIEW tsad.v_reference IS 'What each channel was like when it was commissioned, which a training may not leave without a verdict new_normal.';

DO $$
DECLARE
  word record;
BEGIN
  FOR word IN
    SELECT c.relname AS view, m.name, m.meaning
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    JOIN (VALUES
      ('dataset', 'Name of the dataset file.'),
      ('entity', 'The machine or host.'),
      ('channel', 'The sensor.'),
      ('unit', 'Unit of median and spread.'),
      ('lineage', 'live: what people see; replay: what backfilled retrainings would have said.'),
      ('start_at', 'Beginning, included.'),
      ('end_at', 'End, not included.'),
      ('verdict', 'confirmed, expected, false_alarm, new_normal or sensor_fault.'),
      ('said_by', 'Who said so.'),
      ('said_at', 'When it was said.'),
      ('note', 'More in words.'),
      ('withdrawn_at', 'When it was taken back; NULL: it holds.'),
      ('incident_id', 'The incident that it was said of; another one may stand in its place by now. NULL: it was said of a range.'),
      ('verdict_id', 'Number of the verdict.'),
      ('kind', 'Kind of anomaly.'),
      ('origin', 'Where it comes from: person, file or source.'),
      ('label_id', 'Number of the label.'),
      ('window_id', 'Number of the maintenance window.'),
      ('rrule', 'How it recurs (RFC 5545), on the wall clock of zone; NULL: it does not.'),
      ('zone', 'Time zone in which it recurs.'),
      ('margin_before_s', 'Seconds before it that count as inside.'),
      ('margin_after_s', 'Seconds after it that count as inside.'),
      ('title', 'What is done.'),
      ('created_by', 'Who added it.'),
      ('created_at', 'When it was added.'),
      ('median', 'Median of the readings of [from_at, to_at).'),
      ('spread', 'Their robust standard deviation.'),
      ('from_at', 'Beginning of the readings that it was taken from.'),
      ('to_at', 'Their end.'),
      ('model_id', 'The model that was trained then; see v_model.'),
      ('recorded_at', 'When it was written.'),
      ('replaced_at', 'When a verdict new_normal put another one in its place; infinity: it holds.')
    ) AS m(name, meaning) ON m.name = a.attname
    WHERE n.nspname = 'tsad' AND c.relname IN ('v_verdict', 'v_label', 'v_maintenance', 'v_reference')
  LOOP
    EXECUTE format('COMMENT ON COLUMN tsad.%I.%I IS %L', word.view, word.name, word.meaning);
  END LOOP;
END $$;
COMMENT ON COLUMN tsad.v_verdict.channel IS 'The sensor that is meant; NULL: all of the entity.';
COMMENT ON COLUMN tsad.v_verdict.verdict_id IS 'Number of the verdict; the highest that overlaps an incident counts.';
COMMENT ON COLUMN tsad.v_maintenance.entity IS 'The machine or host; NULL: all of the dataset.';
COMMENT ON COLUMN tsad.v_reference.verdict_id IS 'The verdict new_normal that gave rise to it; NULL: the first training.';

-- Roles ---------------------------------------------------------------------------------------------------------------

REVOKE ALL ON FUNCTION tsad.set_verdict, tsad.add_verdict, tsad.withdraw_verdict, tsad.add_label, tsad.add_maintenance, tsad.withdraw_maintenance FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.set_verdict, tsad.add_verdict, tsad.withdraw_verdict, tsad.add_label, tsad.add_maintenance, tsad.withdraw_maintenance
  TO tsad_writer, tsad_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.verdict, tsad.maintenance_window, tsad.commissioning_reference TO tsad_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA tsad TO tsad_writer;
GRANT SELECT ON tsad.v_verdict, tsad.v_label, tsad.v_maintenance, tsad.v_reference TO tsad_writer, tsad_reader;
