-- Sensors that were replaced, recalibrated or set to another unit, and machines that are too new for a scale of their model.

CREATE TABLE tsad.channel_epoch (
  epoch_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entity_id       int NOT NULL REFERENCES tsad.entity,
  channel_id      int NOT NULL REFERENCES tsad.channel,
  kind            text NOT NULL CHECK (kind IN ('replaced', 'recalibrated', 'unit')),
  from_at         timestamptz NOT NULL,
  declared        boolean NOT NULL,
  scale           double precision CHECK (scale <> 0),
  "offset"        double precision,
  usable_at       timestamptz CHECK (usable_at >= from_at),
  n_running_hours double precision,
  needed_hours    double precision,
  learned_from    bigint,
  reason          text NOT NULL,
  said_by         text NOT NULL,
  said_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  withdrawn_at    timestamptz,
  CHECK ((scale IS NULL) = ("offset" IS NULL) AND (scale IS NULL) = (usable_at IS NULL))
);
CREATE INDEX ON tsad.channel_epoch (entity_id, from_at) WHERE withdrawn_at IS NULL;
COMMENT ON TABLE tsad.channel_epoch IS
  'When a sensor changed: what it sends from from_at on is converted into the terms that held before (value * scale + offset), and is unknown until usable_at. Of several the latest that began decides alone. Stored readings stay as they came.';
COMMENT ON COLUMN tsad.channel_epoch.declared IS 'A person gave scale and offset; else they are learned from the first running hours.';
COMMENT ON COLUMN tsad.channel_epoch.learned_from IS 'Hash of the readings that scale and offset were learned from.';

CREATE TABLE tsad.entity_scale (
  entity_id       int PRIMARY KEY REFERENCES tsad.entity,
  channel_ids     int[] NOT NULL,
  centers         double precision[] NOT NULL,
  scales          double precision[] NOT NULL,
  scaling         text NOT NULL,
  from_at         timestamptz NOT NULL,
  usable_at       timestamptz,
  n_running_hours double precision NOT NULL,
  needed_hours    double precision NOT NULL,
  learned_from    bigint,
  learned_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tsad.entity_scale IS
  'The scale of a machine that a champion does not know, from its first running hours: it takes the place of the pooled one from usable_at on, without waiting for a retraining.';
COMMENT ON COLUMN tsad.entity_scale.centers IS 'By channel; NaN where it never showed a value: there the pooled scale stays.';
COMMENT ON COLUMN tsad.entity_scale.from_at IS 'First hour that it was learned from; should retention drop that, the scale stays as it is.';
COMMENT ON COLUMN tsad.entity_scale.learned_from IS 'Hash of the readings that it was learned from.';

CREATE FUNCTION tsad.set_channel_epoch(dataset text, entity text, channel text, from_at timestamptz, kind text, reason text, scale double precision DEFAULT NULL, "offset" double precision DEFAULT NULL, said_by text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  machine     record;
  sensor      int;
  is_declared boolean := scale IS NOT NULL OR "offset" IS NOT NULL;
  new_id      bigint;
BEGIN
  SELECT e.entity_id, e.dataset_id INTO machine FROM tsad.entity e JOIN tsad.dataset d USING (dataset_id)
  WHERE d.name = set_channel_epoch.dataset AND e.name = set_channel_epoch.entity;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected an entity of the dataset %. Received: %.', dataset, entity USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT c.channel_id INTO sensor FROM tsad.channel c WHERE c.dataset_id = machine.dataset_id AND c.name = set_channel_epoch.channel;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected a channel of the dataset. Received: %.', channel USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF from_at IS NULL OR NOT isfinite(from_at) THEN
    RAISE EXCEPTION 'Expected the time from which on the sensor is another one. Received: %.', from_at USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF kind IS NULL OR kind NOT IN ('replaced', 'recalibrated', 'unit') THEN
    RAISE EXCEPTION 'Expected replaced, recalibrated or unit. Received: %.', kind USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF kind = 'unit' AND NOT is_declared THEN
    RAISE EXCEPTION 'Expected the scale and offset of the new unit. Received: none.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF is_declared AND (coalesce(scale, 1) IN (0, 'NaN', 'Infinity', '-Infinity') OR coalesce("offset", 0) IN ('NaN', 'Infinity', '-Infinity')) THEN
    RAISE EXCEPTION 'Expected a finite scale other than 0 and a finite offset. Received: % and %.', scale, "offset"
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF coalesce(reason, '') = '' THEN
    RAISE EXCEPTION 'Expected a reason. Received: nothing.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  INSERT INTO tsad.channel_epoch (entity_id, channel_id, kind, from_at, declared, scale, "offset", usable_at, reason, said_by)
  VALUES (machine.entity_id, sensor, set_channel_epoch.kind, set_channel_epoch.from_at, is_declared,
          CASE WHEN is_declared THEN coalesce(set_channel_epoch.scale, 1) END,
          CASE WHEN is_declared THEN coalesce(set_channel_epoch."offset", 0) END,
          CASE WHEN is_declared THEN set_channel_epoch.from_at END,
          set_channel_epoch.reason, coalesce(nullif(set_channel_epoch.said_by, ''), session_user))
  RETURNING epoch_id INTO new_id;
  RETURN new_id;
END $$;
COMMENT ON FUNCTION tsad.set_channel_epoch IS
  'Says that a sensor was replaced, recalibrated or set to another unit at from_at. With scale or offset: former terms = value * scale + offset from then on. Without: the channel is unknown until both are learned from its first running hours.';

CREATE FUNCTION tsad.withdraw_channel_epoch(epoch_id bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE tsad.channel_epoch c SET withdrawn_at = clock_timestamp()
  WHERE c.epoch_id = withdraw_channel_epoch.epoch_id AND c.withdrawn_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'Expected the epoch_id of a change of a sensor that holds (see tsad.v_channel_epoch). Received: %.', epoch_id
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN epoch_id;
END $$;
COMMENT ON FUNCTION tsad.withdraw_channel_epoch IS 'Takes back a change of a sensor; the one before it, if there is one, decides again.';

-- Public SQL ----------------------------------------------------------------------------------------------------------

COMMENT ON FUNCTION tsad.readings IS
  'Readings of one entity in [from_at, to_at) as they came, a row per channel; what was not read has no row. Scores see them converted by tsad.v_channel_epoch.';

CREATE VIEW tsad.v_channel_epoch AS
  SELECT d.name AS dataset, x.epoch_id, e.name AS entity, c.name AS channel, x.kind, x.from_at, x.declared, x.scale, x."offset",
         x.usable_at, x.n_running_hours, x.needed_hours, x.reason, x.said_by, x.said_at, x.withdrawn_at
  FROM tsad.channel_epoch x
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.channel c USING (channel_id);
COMMENT ON VIEW tsad.v_channel_epoch IS
  'Sensors that were replaced, recalibrated or set to another unit. Say so: SELECT tsad.set_channel_epoch(dataset, entity, channel, from_at, kind, reason).';

CREATE OR REPLACE VIEW tsad.v_status AS
  SELECT d.name AS dataset, e.name AS entity, b.hour_at, p.lineage, b.status, b.coverage, b.n_needed, b.n_seen,
         (b.status = 'unknown_entity_scale') AS provisional, b.model_id, b.revision,
         concat_ws('; ',
           CASE WHEN b.status <> 'unknown_entity_scale' OR s.entity_id IS NULL THEN NULL
                WHEN s.usable_at IS NULL THEN format('own scale in %s running hours', round((s.needed_hours - s.n_running_hours)::numeric, 1))
                ELSE format('own scale from %s UTC on', to_char(s.usable_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')) END,
           (SELECT string_agg(concat_ws(' ', c.name, x.kind || ',', CASE
                     WHEN x.usable_at IS NOT NULL THEN format('known from %s UTC on', to_char(x.usable_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'))
                     WHEN x.needed_hours > x.n_running_hours THEN format('known in %s running hours', round((x.needed_hours - x.n_running_hours)::numeric, 1))
                     ELSE 'unknown' END), '; ' ORDER BY x.epoch_id)
            FROM tsad.channel_epoch x JOIN tsad.channel c USING (channel_id)
            WHERE x.entity_id = b.entity_id AND x.withdrawn_at IS NULL AND x.from_at < b.hour_at + interval '1 hour'
              AND coalesce(x.usable_at, 'infinity') > greatest(b.hour_at, x.from_at)
              AND NOT EXISTS (
                SELECT FROM tsad.channel_epoch y
                WHERE y.entity_id = x.entity_id AND y.channel_id = x.channel_id AND y.withdrawn_at IS NULL
                  AND (y.from_at, y.epoch_id) > (x.from_at, x.epoch_id) AND y.from_at <= b.hour_at))) AS detail,
         b.scored_at
  FROM tsad.score_block b
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.champion_period p ON p.model_id = b.model_id AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to
    AND p.lineage IN ('live', 'replay')
  LEFT JOIN tsad.entity_scale s ON s.entity_id = b.entity_id
  WHERE b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL
  UNION ALL
  SELECT d.name, e.name, u.hour_at, u.lineage, u.status, 0, 0, 0, false, NULL, u.revision, u.detail, u.decided_at
  FROM tsad.unscored_hour u
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  WHERE u.superseded_at = 'infinity' AND u.lineage IN ('live', 'replay');
COMMENT ON COLUMN tsad.v_status.detail IS 'More in words: how long until a new machine has a scale of its own, or a replaced sensor is known.';

DO $$
DECLARE
  word record;
BEGIN
  FOR word IN
    SELECT * FROM (VALUES
      ('dataset', 'Name of the dataset file.'),
      ('epoch_id', 'Number of the change.'),
      ('entity', 'The machine or host.'),
      ('channel', 'The sensor.'),
      ('kind', 'replaced, recalibrated or unit.'),
      ('from_at', 'From when on the sensor is another one.'),
      ('declared', 'A person gave scale and offset; else they are learned from the first running hours.'),
      ('scale', 'Former terms = value * scale + offset; NULL: not known yet.'),
      ('offset', 'Former terms = value * scale + offset; NULL: not known yet.'),
      ('usable_at', 'From when on it is converted; until then it is unknown, and NULL: still so.'),
      ('n_running_hours', 'Running hours that were read since from_at, up to those needed; NULL: declared, or not looked at yet.'),
      ('needed_hours', 'Running hours that scale and offset are learned from.'),
      ('reason', 'Why it was changed.'),
      ('said_by', 'Who said so.'),
      ('said_at', 'When it was said.'),
      ('withdrawn_at', 'When it was taken back; NULL: it holds.')
    ) AS m(name, meaning)
  LOOP
    EXECUTE format('COMMENT ON COLUMN tsad.v_channel_epoch.%I IS %L', word.name, word.meaning);
  END LOOP;
END $$;

-- Roles ---------------------------------------------------------------------------------------------------------------

REVOKE ALL ON FUNCTION tsad.set_channel_epoch, tsad.withdraw_channel_epoch FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.set_channel_epoch, tsad.withdraw_channel_epoch TO tsad_writer, tsad_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.channel_epoch, tsad.entity_scale TO tsad_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA tsad TO tsad_writer;
GRANT SELECT ON tsad.v_channel_epoch TO tsad_writer, tsad_reader;
