-- The warehouse: blocks of readings and scores, rows for people, views and functions for SQL users.
-- Never edited once landed; the next change is 0002.

CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA public;

CREATE SCHEMA tsad;
COMMENT ON SCHEMA tsad IS
  'Anomaly scoring of sensor tables. Start with: v_incident, v_anomaly, v_status, v_model, and SELECT * FROM tsad.readings(...) or tsad.scores(...). Intervals are half-open, times are UTC.';

-- Who and what -----------------------------------------------------------------------------------------------------

CREATE TABLE tsad.dataset (
  dataset_id     int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name           text NOT NULL UNIQUE CHECK (octet_length(name) BETWEEN 1 AND 54),
  description    text NOT NULL DEFAULT '',
  site_zone      text NOT NULL,
  step_s         int  NOT NULL CHECK (step_s > 0 AND 3600 % step_s = 0),
  config         jsonb NOT NULL,
  policy_version text NOT NULL,
  merge_gap_s    int  NOT NULL,
  retired_before timestamptz NOT NULL DEFAULT '-infinity',
  updated_at     timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE tsad.dataset IS 'One set of sensor tables and its configuration, as last seen by a step.';
COMMENT ON COLUMN tsad.dataset.name IS 'At most 54 bytes, so that its view readings_<name> is a name of its own.';
COMMENT ON COLUMN tsad.dataset.retired_before IS 'Readings before this were dropped by retention: what was scored stays as it is.';

CREATE TABLE tsad.entity (
  entity_id  int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dataset_id int NOT NULL REFERENCES tsad.dataset,
  name       text NOT NULL,
  UNIQUE (dataset_id, name)
);
COMMENT ON TABLE tsad.entity IS 'One machine or host of a dataset.';

CREATE TABLE tsad.channel (
  channel_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dataset_id int NOT NULL REFERENCES tsad.dataset,
  name       text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 63 AND name NOT IN ('entity', 'hour_at', 'at')),
  unit       text,
  UNIQUE (dataset_id, name)
);
COMMENT ON TABLE tsad.channel IS 'One sensor of every entity of a dataset.';
COMMENT ON COLUMN tsad.channel.name IS 'Also a column of the dataset''s own view: at most 63 bytes, and none of its fixed columns.';

CREATE TABLE tsad.layout (
  layout_id   int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dataset_id  int NOT NULL REFERENCES tsad.dataset,
  step_s      int NOT NULL,
  channel_ids int[] NOT NULL,
  UNIQUE (dataset_id, step_s, channel_ids)
);
COMMENT ON TABLE tsad.layout IS 'What the columns of a block mean. Immutable: positions only ever get appended.';

CREATE TABLE tsad.reason (
  reason   smallint PRIMARY KEY,
  name     text NOT NULL UNIQUE,
  meaning  text NOT NULL
);
COMMENT ON TABLE tsad.reason IS 'Why a step has no score.';
INSERT INTO tsad.reason VALUES
  (0, 'scored', 'The step has a score.'),
  (1, 'missing', 'Nothing was read at this step.'),
  (2, 'incomplete_window', 'The window that ends here has too few live channels.'),
  (3, 'off', 'The machine was not running.'),
  (4, 'startup', 'The start-up grace had not passed.'),
  (5, 'running_unknown', 'A channel of running_when was missing.'),
  (6, 'not_finite', 'The detector gave no finite error.'),
  (7, 'pending', 'Not read yet when the hour was scored.'),
  (8, 'before_history', 'The window reaches back before the first reading.');

-- Readings ---------------------------------------------------------------------------------------------------------

CREATE TABLE tsad.reading_block (
  entity_id   int NOT NULL,
  hour_at     timestamptz NOT NULL,
  layout_id   int NOT NULL,
  values      double precision[] NOT NULL,
  revision    int NOT NULL DEFAULT 1,
  checksum    bigint NOT NULL,
  ingested_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (entity_id, hour_at)
) PARTITION BY RANGE (hour_at);
COMMENT ON TABLE tsad.reading_block IS
  'Readings of one entity and hour: values[step][channel], NaN where nothing was read. SQL users: tsad.readings(...) or the dataset''s own view.';
COMMENT ON COLUMN tsad.reading_block.checksum IS 'Hash of layout and values; the memo of errors is valid while it stands.';

CREATE TABLE tsad.ingest_hour (
  dataset_id  int NOT NULL,
  hour_at     timestamptz NOT NULL,
  read_until  timestamptz NOT NULL,
  read_at     timestamptz NOT NULL,
  n_rows      bigint NOT NULL,
  n_readings  bigint NOT NULL,
  newest_at   timestamptz,
  lag_s       double precision,
  PRIMARY KEY (dataset_id, hour_at)
);
COMMENT ON TABLE tsad.ingest_hour IS 'The ledger: which hours were read from the source, how far, and when.';
COMMENT ON COLUMN tsad.ingest_hour.lag_s IS 'Seconds from the newest reading of the hour to the moment it was read, when read live.';

CREATE TABLE tsad.ingest_issue (
  dataset_id int NOT NULL,
  hour_at    timestamptz NOT NULL,
  entity     text NOT NULL DEFAULT '',
  channel    text NOT NULL DEFAULT '',
  issue      text NOT NULL,
  n_rows     bigint NOT NULL,
  detail     text NOT NULL DEFAULT '',
  PRIMARY KEY (dataset_id, hour_at, entity, channel, issue)
);
COMMENT ON TABLE tsad.ingest_issue IS 'Whatever was not taken as it came, counted: nothing is dropped in silence.';

CREATE TABLE tsad.quality (
  entity_id  int NOT NULL,
  hour_at    timestamptz NOT NULL,
  channel_id int NOT NULL,
  verdict    text NOT NULL CHECK (verdict IN ('constant', 'stuck', 'at_limit', 'out_of_range', 'unit_jump', 'dead')),
  n_steps    int NOT NULL,
  detail     text NOT NULL DEFAULT '',
  PRIMARY KEY (entity_id, hour_at, channel_id, verdict)
);
COMMENT ON TABLE tsad.quality IS 'What is wrong with a sensor rather than with the machine.';

CREATE TABLE tsad.label (
  label_id   int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entity_id  int NOT NULL REFERENCES tsad.entity,
  start_at   timestamptz NOT NULL,
  end_at     timestamptz NOT NULL CHECK (end_at > start_at),
  kind       text NOT NULL DEFAULT 'anomaly',
  origin     text NOT NULL,
  note       text NOT NULL DEFAULT '',
  UNIQUE (entity_id, start_at, end_at, origin)
);
COMMENT ON TABLE tsad.label IS 'Known anomalies, from the source table, a person or a file.';

-- Models and decisions ----------------------------------------------------------------------------------------------

CREATE TABLE tsad.model (
  model_id        int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dataset_id      int NOT NULL REFERENCES tsad.dataset,
  scope_entity_id int NOT NULL DEFAULT 0,
  lineage         text NOT NULL,
  version         int NOT NULL,
  parent_model_id int REFERENCES tsad.model,
  detector        text NOT NULL,
  seed            int NOT NULL,
  train_start_at  timestamptz NOT NULL,
  train_end_at    timestamptz NOT NULL,
  config_hash     text NOT NULL,
  window_reach_s  int NOT NULL,
  score_reach_s   int NOT NULL,
  n_parameters    int NOT NULL,
  artifact_uri    text NOT NULL,
  sha256          text NOT NULL,
  card            jsonb NOT NULL,
  gate_passed     boolean,
  created_at      timestamptz NOT NULL DEFAULT now(),
  UNIQUE (dataset_id, version),
  UNIQUE (dataset_id, scope_entity_id, lineage, train_start_at, train_end_at, config_hash, seed)
);
COMMENT ON TABLE tsad.model IS 'Every model ever trained, champion or not.';
COMMENT ON COLUMN tsad.model.scope_entity_id IS '0: one model for the whole dataset; else the entity that it belongs to.';
COMMENT ON COLUMN tsad.model.window_reach_s IS 'How far before a reading its error looks back.';
COMMENT ON COLUMN tsad.model.score_reach_s IS 'How far before a reading its threshold looks back, window reach included.';

CREATE TABLE tsad.champion_period (
  lineage         text NOT NULL,
  dataset_id      int NOT NULL REFERENCES tsad.dataset,
  scope_entity_id int NOT NULL DEFAULT 0,
  model_id        int NOT NULL REFERENCES tsad.model,
  valid_from      timestamptz NOT NULL,
  valid_to        timestamptz NOT NULL DEFAULT 'infinity' CHECK (valid_to > valid_from),
  decided_at      timestamptz NOT NULL DEFAULT now(),
  reason          text NOT NULL DEFAULT '',
  EXCLUDE USING gist (lineage WITH =, dataset_id WITH =, scope_entity_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
);
COMMENT ON TABLE tsad.champion_period IS 'Which model speaks for which hours. Periods never overlap; lineage live is what people see, replay is what backfilled retrainings would have said.';
CREATE INDEX ON tsad.champion_period (model_id);

CREATE TABLE tsad.gate_decision (
  model_id       int NOT NULL REFERENCES tsad.model,
  rule           text NOT NULL,
  value          double precision,
  limit_value    double precision,
  champion_value double precision,
  passed         boolean NOT NULL,
  note           text NOT NULL DEFAULT '',
  decided_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (model_id, rule)
);
COMMENT ON TABLE tsad.gate_decision IS 'Each rule of the gate, its numbers and its outcome.';

CREATE TABLE tsad.exclusion (
  model_id  int NOT NULL REFERENCES tsad.model,
  entity_id int NOT NULL,
  start_at  timestamptz NOT NULL,
  end_at    timestamptz NOT NULL,
  reason    text NOT NULL,
  n_steps   bigint NOT NULL,
  PRIMARY KEY (model_id, entity_id, start_at, reason)
);
COMMENT ON TABLE tsad.exclusion IS 'What a training left out, and why.';

-- Scores -----------------------------------------------------------------------------------------------------------

CREATE TABLE tsad.score_block (
  entity_id      int NOT NULL,
  hour_at        timestamptz NOT NULL,
  model_id       int NOT NULL,
  revision       int NOT NULL DEFAULT 1,
  errors         real[] NOT NULL,
  thresholds     real[],
  scores         real[],
  reasons        smallint[] NOT NULL,
  channel_errors real[],
  status         text NOT NULL CHECK (status IN
    ('scored', 'partial', 'insufficient_history', 'gap', 'stale', 'off', 'unknown_entity_scale', 'inputs_retired')),
  coverage       real NOT NULL,
  n_needed       int NOT NULL,
  n_seen         int NOT NULL,
  window_digest  bigint NOT NULL,
  score_digest   bigint,
  scored_at      timestamptz NOT NULL DEFAULT now(),
  superseded_at  timestamptz NOT NULL DEFAULT 'infinity',
  PRIMARY KEY (entity_id, hour_at, model_id, revision)
) PARTITION BY RANGE (hour_at);
CREATE UNIQUE INDEX score_block_current ON tsad.score_block (entity_id, model_id, hour_at) WHERE superseded_at = 'infinity';
COMMENT ON TABLE tsad.score_block IS
  'Errors, thresholds and scores of one entity, hour and model, a value per step; NULL (never 0) where unknown. Without thresholds the row is only a memo of errors.';
COMMENT ON COLUMN tsad.score_block.channel_errors IS 'errors by [step][channel of the model], kept for hours with flags.';
COMMENT ON COLUMN tsad.score_block.window_digest IS 'Hash of the reading blocks that the errors depend on.';
COMMENT ON COLUMN tsad.score_block.score_digest IS 'Hash of the reading blocks that thresholds and scores depend on.';

CREATE TABLE tsad.unscored_hour (
  lineage       text NOT NULL,
  entity_id     int NOT NULL,
  hour_at       timestamptz NOT NULL,
  revision      int NOT NULL DEFAULT 1,
  status        text NOT NULL CHECK (status IN ('no_champion', 'failed')),
  detail        text NOT NULL DEFAULT '',
  decided_at    timestamptz NOT NULL DEFAULT now(),
  superseded_at timestamptz NOT NULL DEFAULT 'infinity',
  PRIMARY KEY (lineage, entity_id, hour_at, revision)
);
COMMENT ON TABLE tsad.unscored_hour IS 'Hours that no model scored: none was champion, or the bundle could not be used.';

CREATE TABLE tsad.anomaly (
  entity_id     int NOT NULL,
  at            timestamptz NOT NULL,
  hour_at       timestamptz NOT NULL,
  model_id      int NOT NULL,
  revision      int NOT NULL DEFAULT 1,
  kind          text NOT NULL CHECK (kind IN ('point', 'collective')),
  severity      text NOT NULL CHECK (severity IN ('LOW', 'MEDIUM', 'HIGH')),
  error         real NOT NULL,
  threshold     real NOT NULL,
  score         real NOT NULL,
  provisional   boolean NOT NULL,
  known_from    timestamptz NOT NULL DEFAULT now(),
  superseded_at timestamptz NOT NULL DEFAULT 'infinity',
  PRIMARY KEY (entity_id, at, model_id, revision)
);
CREATE INDEX anomaly_time ON tsad.anomaly (at) WHERE superseded_at = 'infinity';
COMMENT ON TABLE tsad.anomaly IS 'A flagged reading with its severity.';
COMMENT ON COLUMN tsad.anomaly.score IS '(error - threshold) / threshold: above 1 HIGH, above 0.5 MEDIUM, above 0 LOW.';
COMMENT ON COLUMN tsad.anomaly.provisional IS 'The entity had no scale of its own yet.';

CREATE TABLE tsad.attribution (
  entity_id  int NOT NULL,
  at         timestamptz NOT NULL,
  model_id   int NOT NULL,
  channel_id int NOT NULL,
  share      real NOT NULL,
  actual     double precision,
  expected   double precision,
  spread     double precision,
  PRIMARY KEY (entity_id, at, model_id, channel_id)
);
COMMENT ON TABLE tsad.attribution IS 'Which channels made a flagged reading strange: share of the error, value and expected value in the sensor''s unit.';

CREATE TABLE tsad.incident (
  incident_id     text PRIMARY KEY,
  lineage         text NOT NULL,
  entity_id       int NOT NULL REFERENCES tsad.entity,
  policy_version  text NOT NULL,
  model_id        int NOT NULL,
  started_at      timestamptz NOT NULL,
  last_flag_at    timestamptz NOT NULL,
  n_flags         int NOT NULL,
  kind            text NOT NULL CHECK (kind IN ('point', 'collective')),
  severity        text NOT NULL CHECK (severity IN ('LOW', 'MEDIUM', 'HIGH')),
  peak_score      real NOT NULL,
  peak_at         timestamptz NOT NULL,
  top_channel_id  int,
  sentence        text NOT NULL,
  provisional     boolean NOT NULL DEFAULT false,
  superseded_by   text,
  withdrawn_at    timestamptz,
  updated_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON tsad.incident (lineage, entity_id, started_at);
COMMENT ON TABLE tsad.incident IS 'A run of flags, merged. The id is a hash of entity, policy, lineage and first flagged time.';
COMMENT ON COLUMN tsad.incident.superseded_by IS 'The incident that took its place when late readings changed its first flag.';

CREATE TABLE tsad.run_status (
  dataset_id  int NOT NULL,
  run_id      text NOT NULL,
  step        text NOT NULL,
  shard       int NOT NULL DEFAULT 0,
  start_at    timestamptz,
  end_at      timestamptz,
  state       text NOT NULL,
  message     text NOT NULL DEFAULT '',
  counts      jsonb NOT NULL DEFAULT '{}',
  seconds     double precision,
  finished_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (dataset_id, run_id, step, shard)
);
COMMENT ON TABLE tsad.run_status IS 'What each step of each run did, or why it did not.';

-- Partitions: made by whoever writes first ---------------------------------------------------------------------------

CREATE FUNCTION tsad.ensure_partition(parent text, month_at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  start_at timestamptz := date_trunc('month', month_at, 'UTC');
  end_at   timestamptz := (start_at AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
  child    text := format('%s_%s', parent, to_char(start_at AT TIME ZONE 'UTC', 'YYYY_MM'));
BEGIN
  IF parent NOT IN ('reading_block', 'score_block') THEN
    RAISE EXCEPTION 'Expected reading_block or score_block. Received: %.', parent;
  END IF;
  IF to_regclass(format('tsad.%I', child)) IS NOT NULL THEN RETURN; END IF;
  PERFORM pg_advisory_xact_lock(hashtext('tsad.partition'));
  -- Not to_regclass again: it remembers that there was none, while somebody else made one before we had the lock.
  IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'tsad'::regnamespace AND relname = child) THEN RETURN; END IF;
  -- PARTITION OF would lock the parent against readers: two writers that have read it would wait for each other for ever.
  EXECUTE format('CREATE TABLE tsad.%I (LIKE tsad.%I INCLUDING ALL)', child, parent);
  EXECUTE format('ALTER TABLE tsad.%I ATTACH PARTITION tsad.%I FOR VALUES FROM (%L) TO (%L)', parent, child, start_at, end_at);
END $$;
COMMENT ON FUNCTION tsad.ensure_partition IS 'Makes the month''s partition of reading_block or score_block when it is not there.';

CREATE FUNCTION tsad.drop_partitions_before(parent text, horizon_at timestamptz) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  child record;
BEGIN
  IF parent NOT IN ('reading_block', 'score_block') THEN
    RAISE EXCEPTION 'Expected reading_block or score_block. Received: %.', parent;
  END IF;
  FOR child IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass(format('tsad.%I', parent))
      AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= horizon_at AT TIME ZONE 'UTC'
    ORDER BY 1
  LOOP
    EXECUTE format('DROP TABLE tsad.%I', child.relname);
    RETURN NEXT child.relname;
  END LOOP;
END $$;
COMMENT ON FUNCTION tsad.drop_partitions_before IS 'Retention: drops whole months that end before the horizon. Only tsad.maintain calls it, and only when retention is configured.';

-- Public SQL ---------------------------------------------------------------------------------------------------------

CREATE VIEW tsad.v_status AS
  SELECT d.name AS dataset, e.name AS entity, b.hour_at, p.lineage, b.status, b.coverage, b.n_needed, b.n_seen,
         (b.status = 'unknown_entity_scale') AS provisional, b.model_id, b.revision, ''::text AS detail, b.scored_at
  FROM tsad.score_block b
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.champion_period p ON p.model_id = b.model_id AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to
  WHERE b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL
  UNION ALL
  SELECT d.name, e.name, u.hour_at, u.lineage, u.status, 0, 0, 0, false, NULL, u.revision, u.detail, u.decided_at
  FROM tsad.unscored_hour u
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  WHERE u.superseded_at = 'infinity';
COMMENT ON VIEW tsad.v_status IS 'One row per entity and hour: was it scored, by which model, on how much; and if not, why not.';

CREATE VIEW tsad.v_anomaly AS
  SELECT d.name AS dataset, e.name AS entity, a.at, p.lineage, a.kind, a.severity, a.score, a.error, a.threshold,
         t.channel, t.share, t.actual, t.expected, t.unit, a.provisional, a.model_id, a.revision, a.known_from
  FROM tsad.anomaly a
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.champion_period p ON p.model_id = a.model_id AND a.hour_at >= p.valid_from AND a.hour_at < p.valid_to
  LEFT JOIN LATERAL (
    SELECT c.name AS channel, c.unit, r.share, r.actual, r.expected
    FROM tsad.attribution r JOIN tsad.channel c USING (channel_id)
    WHERE r.entity_id = a.entity_id AND r.at = a.at AND r.model_id = a.model_id
    ORDER BY r.share DESC, r.channel_id LIMIT 1) t ON true
  WHERE a.superseded_at = 'infinity';
COMMENT ON VIEW tsad.v_anomaly IS 'Flagged readings with severity and the channel that carries most of the error.';

CREATE VIEW tsad.v_incident AS
  SELECT i.incident_id, d.name AS dataset, e.name AS entity, i.lineage, i.severity, i.kind,
         CASE WHEN h.scored_until IS NULL OR i.last_flag_at + make_interval(secs => d.merge_gap_s) >= h.scored_until
              THEN 'open' ELSE 'closed' END AS state,
         i.started_at, i.last_flag_at, i.n_flags, i.peak_score, i.peak_at, c.name AS channel, i.sentence,
         i.provisional, i.policy_version, i.model_id, i.updated_at
  FROM tsad.incident i
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.channel c ON c.channel_id = i.top_channel_id
  LEFT JOIN LATERAL (
    SELECT max(b.hour_at) + interval '1 hour' AS scored_until
    FROM tsad.score_block b
    WHERE b.entity_id = i.entity_id AND b.superseded_at = 'infinity' AND b.status IN ('scored', 'partial', 'unknown_entity_scale')
      AND b.thresholds IS NOT NULL AND b.hour_at >= i.last_flag_at - interval '1 hour') h ON true
  WHERE i.superseded_by IS NULL AND i.withdrawn_at IS NULL;
COMMENT ON VIEW tsad.v_incident IS 'Merged runs of flags. open: nothing normal was scored for longer than the merge gap after the last flag.';

CREATE VIEW tsad.v_attribution AS
  SELECT d.name AS dataset, e.name AS entity, r.at, c.name AS channel, c.unit, r.share, r.actual, r.expected, r.spread, r.model_id
  FROM tsad.attribution r
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.channel c USING (channel_id);
COMMENT ON VIEW tsad.v_attribution IS 'Share of each channel in the error of a flagged reading, with what was expected.';

CREATE VIEW tsad.v_model AS
  SELECT d.name AS dataset, m.model_id, m.version, e.name AS entity, m.lineage, m.detector, m.train_start_at, m.train_end_at,
         m.gate_passed, p.valid_from, p.valid_to, coalesce(p.valid_to = 'infinity', false) AS champion, m.n_parameters, m.seed,
         m.parent_model_id, m.config_hash, m.sha256, m.artifact_uri, m.card, m.created_at
  FROM tsad.model m
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.entity e ON e.entity_id = m.scope_entity_id
  LEFT JOIN tsad.champion_period p USING (model_id);
COMMENT ON VIEW tsad.v_model IS 'Every model: what it was trained on, whether it passed the gate, when it was champion.';

CREATE VIEW tsad.v_model_decision AS
  SELECT d.name AS dataset, m.version, g.model_id, g.rule, g.value, g.limit_value, g.champion_value, g.passed, g.note, g.decided_at
  FROM tsad.gate_decision g
  JOIN tsad.model m USING (model_id)
  JOIN tsad.dataset d USING (dataset_id);
COMMENT ON VIEW tsad.v_model_decision IS 'Why a challenger passed the gate or did not, rule by rule.';

CREATE VIEW tsad.v_exclusion AS
  SELECT d.name AS dataset, m.version, x.model_id, e.name AS entity, x.start_at, x.end_at, x.reason, x.n_steps
  FROM tsad.exclusion x
  JOIN tsad.model m USING (model_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.entity e ON e.entity_id = x.entity_id;
COMMENT ON VIEW tsad.v_exclusion IS 'What each training left out, and why.';

CREATE VIEW tsad.v_quality AS
  SELECT d.name AS dataset, e.name AS entity, c.name AS channel, q.hour_at, q.verdict, q.n_steps, q.detail
  FROM tsad.quality q
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.channel c USING (channel_id);
COMMENT ON VIEW tsad.v_quality IS 'Sensor trouble by hour: constant, stuck, at_limit, out_of_range, unit_jump, dead.';

CREATE VIEW tsad.v_ingest AS
  SELECT d.name AS dataset, h.hour_at, h.n_rows, h.n_readings, h.newest_at, h.lag_s, h.read_until, h.read_at,
         (SELECT jsonb_object_agg(s.issue, s.n) FROM (
            SELECT x.issue, sum(x.n_rows) AS n FROM tsad.ingest_issue x
            WHERE x.dataset_id = h.dataset_id AND x.hour_at = h.hour_at GROUP BY x.issue) s) AS issues
  FROM tsad.ingest_hour h JOIN tsad.dataset d USING (dataset_id);
COMMENT ON VIEW tsad.v_ingest IS 'What was read from the source, hour by hour, with everything that was not taken as it came.';

CREATE FUNCTION tsad.readings(dataset text, entity text, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (at timestamptz, channel text, value double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.at, c.name, s.value
  FROM tsad.dataset d
  JOIN tsad.entity e ON e.dataset_id = d.dataset_id AND e.name = readings.entity
  JOIN tsad.reading_block b ON b.entity_id = e.entity_id
    AND b.hour_at >= date_trunc('hour', from_at, 'UTC') AND b.hour_at < to_at
  JOIN tsad.layout l USING (layout_id)
  CROSS JOIN LATERAL (
    SELECT b.hour_at + make_interval(secs => ((u.i - 1) / cardinality(l.channel_ids)) * l.step_s) AS at,
           l.channel_ids[(u.i - 1) % cardinality(l.channel_ids) + 1] AS channel_id, u.value
    FROM unnest(b.values) WITH ORDINALITY AS u(value, i)) s
  JOIN tsad.channel c ON c.channel_id = s.channel_id
  WHERE d.name = readings.dataset AND s.at >= from_at AND s.at < to_at AND s.value <> 'NaN'
  ORDER BY 1, 2
$$;
COMMENT ON FUNCTION tsad.readings IS 'Readings of one entity in [from_at, to_at), a row per channel; what was not read has no row.';

CREATE FUNCTION tsad.scores_as_known_at(known_at timestamptz, dataset text, entity text, from_at timestamptz, to_at timestamptz, lineage text DEFAULT 'live')
RETURNS TABLE (at timestamptz, error real, threshold real, score real, flag boolean, reason text, status text, model_id int, revision int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT b.hour_at + make_interval(secs => (u.i - 1)::int * (3600 / cardinality(b.reasons))), u.error, u.threshold, u.score, u.score > 0, r.name, b.status, b.model_id, b.revision
  FROM tsad.dataset d
  JOIN tsad.entity e ON e.dataset_id = d.dataset_id AND e.name = scores_as_known_at.entity
  JOIN tsad.score_block b ON b.entity_id = e.entity_id
    AND b.hour_at >= date_trunc('hour', from_at, 'UTC') AND b.hour_at < to_at
    AND b.scored_at <= known_at AND b.superseded_at > known_at AND b.thresholds IS NOT NULL
  JOIN tsad.champion_period p ON p.model_id = b.model_id AND p.lineage = scores_as_known_at.lineage
    AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to AND p.decided_at <= known_at
  CROSS JOIN LATERAL unnest(b.errors, b.thresholds, b.scores, b.reasons) WITH ORDINALITY AS u(error, threshold, score, reason, i)
  JOIN tsad.reason r ON r.reason = u.reason
  WHERE d.name = scores_as_known_at.dataset
    AND b.hour_at + make_interval(secs => (u.i - 1)::int * (3600 / cardinality(b.reasons))) >= from_at
    AND b.hour_at + make_interval(secs => (u.i - 1)::int * (3600 / cardinality(b.reasons))) < to_at
  ORDER BY 1
$$;
COMMENT ON FUNCTION tsad.scores_as_known_at IS 'What an operator saw at known_at: the revisions and champions of that moment.';

CREATE FUNCTION tsad.scores(dataset text, entity text, from_at timestamptz, to_at timestamptz, lineage text DEFAULT 'live')
RETURNS TABLE (at timestamptz, error real, threshold real, score real, flag boolean, reason text, status text, model_id int, revision int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT * FROM tsad.scores_as_known_at(clock_timestamp(), scores.dataset, scores.entity, from_at, to_at, scores.lineage)
$$;
COMMENT ON FUNCTION tsad.scores IS 'Scores of one entity in [from_at, to_at), a row per step; score is NULL where unknown, reason says why.';

CREATE FUNCTION tsad.refresh_dataset_view(of_dataset_id int) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  dataset_name text;
  view_name    text;
  channels     record;
  sensor       record;
  definition   text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('tsad.view'), of_dataset_id);
  SELECT name INTO STRICT dataset_name FROM tsad.dataset WHERE dataset_id = of_dataset_id;
  view_name := 'readings_' || dataset_name;
  SELECT string_agg(format('b.values[:][%s:%s]', i, i), ', ' ORDER BY i) AS slices,
         string_agg('v' || i, ', ' ORDER BY i) AS positions,
         string_agg(format('nullif(u.v%s, ''NaN'') AS %I', i, c.name), ', ' ORDER BY i) AS columns
    INTO channels
    FROM (SELECT channel_ids FROM tsad.layout WHERE dataset_id = of_dataset_id
          ORDER BY cardinality(channel_ids) DESC, layout_id DESC LIMIT 1) l,
         unnest(l.channel_ids) WITH ORDINALITY AS u(channel_id, i)
    JOIN tsad.channel c USING (channel_id);
  definition := format(
    'VIEW tsad.%I AS SELECT e.name AS entity, b.hour_at, b.hour_at + make_interval(secs => (u.i - 1)::int * l.step_s) AS at, %s '
    'FROM tsad.reading_block b JOIN tsad.entity e USING (entity_id) JOIN tsad.layout l USING (layout_id) '
    'CROSS JOIN LATERAL unnest(%s) WITH ORDINALITY AS u(%s, i) WHERE e.dataset_id = %s',
    view_name, channels.columns, channels.slices, channels.positions, of_dataset_id);
  BEGIN
    -- Positions only ever get appended, so the view can grow under whoever has built on it ...
    EXECUTE 'CREATE OR REPLACE ' || definition;
  EXCEPTION WHEN invalid_table_definition THEN
    -- ... unless it was of a dataset of the same name whose rows somebody deleted.
    EXECUTE format('DROP VIEW tsad.%I', view_name);
    EXECUTE 'CREATE ' || definition;
  END;
  EXECUTE format('COMMENT ON VIEW tsad.%I IS %L', view_name,
    'Readings of ' || dataset_name || ', a column per channel. Filter on hour_at (indexed) as well as on at.');
  FOR sensor IN SELECT name, unit FROM tsad.channel WHERE dataset_id = of_dataset_id AND unit IS NOT NULL LOOP
    EXECUTE format('COMMENT ON COLUMN tsad.%I.%I IS %L', view_name, sensor.name, 'Unit: ' || sensor.unit);
  END LOOP;
  EXECUTE format('GRANT SELECT ON tsad.%I TO tsad_reader, tsad_writer', view_name);
  RETURN view_name;
END $$;
COMMENT ON FUNCTION tsad.refresh_dataset_view IS 'Makes the dataset''s own view readings_<dataset>, or adds the columns by which its layout grew.';

-- One word, one meaning: a column's name says the same in every public view.
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
      ('channel', 'The sensor; in anomalies and incidents the one that carries most of the error.'),
      ('unit', 'Unit of actual, expected and spread.'),
      ('hour_at', 'Beginning of the hour, UTC.'),
      ('at', 'Time of the reading, UTC.'),
      ('lineage', 'live: what people see; replay: what backfilled retrainings would have said.'),
      ('status', 'scored, partial (some steps), insufficient_history, gap, stale, off, unknown_entity_scale (scored by the pooled scale, provisional), inputs_retired, no_champion or failed.'),
      ('coverage', 'Share of the needed steps that have a score, each weighed by its share of live channels.'),
      ('n_needed', 'Steps of the hour that should have a score: running, past the start-up, read by then.'),
      ('n_seen', 'Steps of these that have a score.'),
      ('provisional', 'The entity had no scale of its own yet.'),
      ('model_id', 'The model; see v_model.'),
      ('version', 'Number of the model within its dataset.'),
      ('revision', 'How often this was written anew, after late or changed readings; 1 is the first.'),
      ('scored_at', 'When this was written, not when it was read.'),
      ('known_from', 'When this was written, not when it was read.'),
      ('kind', 'point: one reading; collective: the moving average of errors.'),
      ('severity', 'LOW, MEDIUM or HIGH: score above 0, 0.5 or 1.'),
      ('score', '(error - threshold) / threshold: above 0 is a flag.'),
      ('error', 'What the detector could not explain.'),
      ('threshold', 'What the error had to exceed.'),
      ('share', 'Part of the error that this channel carries, 0 to 1.'),
      ('actual', 'What was read.'),
      ('expected', 'What the detector expected.'),
      ('spread', 'What is usual as a difference between actual and expected.'),
      ('incident_id', 'Hash of entity, policy, lineage and first flagged time.'),
      ('state', 'open: nothing normal was scored for longer than the merge gap after the last flag; else closed.'),
      ('started_at', 'First flag.'),
      ('last_flag_at', 'Last flag.'),
      ('n_flags', 'Flagged readings.'),
      ('peak_score', 'Highest score.'),
      ('peak_at', 'When the score was highest.'),
      ('sentence', 'The incident in words.'),
      ('policy_version', 'Hash of the alarm policy that merged the flags.'),
      ('updated_at', 'When this was last written.'),
      ('detector', 'Kind of model.'),
      ('train_start_at', 'Beginning of the training range.'),
      ('train_end_at', 'End of the training range; the model is never used before it.'),
      ('gate_passed', 'Whether it passed all rules of the gate; NULL before the gate.'),
      ('valid_from', 'From which hour on it was champion; NULL: never.'),
      ('valid_to', 'Up to which hour it was champion; infinity: until now.'),
      ('champion', 'Whether it is champion now.'),
      ('n_parameters', 'Trained weights.'),
      ('seed', 'Seed of weights, batches and injected anomalies.'),
      ('parent_model_id', 'The model whose weights it started from.'),
      ('config_hash', 'Hash of all settings that affect errors, scores and flags.'),
      ('sha256', 'Hash of the bundle''s manifest, checked at load.'),
      ('artifact_uri', 'Where the bundle is.'),
      ('card', 'The model card: data, training, calibration.'),
      ('created_at', 'When it was registered.'),
      ('rule', 'Name of the gate''s rule.'),
      ('value', 'What the challenger reached.'),
      ('limit_value', 'What it had to reach.'),
      ('champion_value', 'What the champion reached on the same readings.'),
      ('passed', 'Whether the rule was met.'),
      ('note', 'More in words.'),
      ('decided_at', 'When this was decided.'),
      ('start_at', 'Beginning, included.'),
      ('end_at', 'End, not included.'),
      ('reason', 'Why it was left out.'),
      ('n_steps', 'Steps of the grid that this concerns.'),
      ('verdict', 'constant, stuck, at_limit, out_of_range, unit_jump or dead.'),
      ('detail', 'More in words.'),
      ('n_rows', 'Rows of the source.'),
      ('n_readings', 'Readings of all entities that were taken.'),
      ('newest_at', 'Time of the newest reading of the hour.'),
      ('lag_s', 'Seconds from the newest reading to the moment it was read; NULL when it was not read live.'),
      ('read_until', 'How far the hour has been read.'),
      ('read_at', 'When it was last read.'),
      ('issues', 'Rows that were not taken as they came, by issue.')
    ) AS m(name, meaning) ON m.name = a.attname
    WHERE n.nspname = 'tsad' AND c.relkind = 'v'
  LOOP
    EXECUTE format('COMMENT ON COLUMN tsad.%I.%I IS %L', word.view, word.name, word.meaning);
  END LOOP;
END $$;
COMMENT ON COLUMN tsad.v_model.entity IS 'The entity that it belongs to; NULL: one model for the whole dataset.';

-- Roles --------------------------------------------------------------------------------------------------------------

DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tsad_writer') THEN CREATE ROLE tsad_writer NOLOGIN; END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tsad_reader') THEN CREATE ROLE tsad_reader NOLOGIN; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tsad FROM PUBLIC;
GRANT USAGE ON SCHEMA tsad TO tsad_writer, tsad_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tsad TO tsad_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA tsad TO tsad_writer;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tsad TO tsad_writer;
GRANT SELECT ON tsad.v_status, tsad.v_anomaly, tsad.v_incident, tsad.v_attribution, tsad.v_model, tsad.v_model_decision,
  tsad.v_exclusion, tsad.v_quality, tsad.v_ingest TO tsad_reader;
GRANT EXECUTE ON FUNCTION tsad.readings, tsad.scores, tsad.scores_as_known_at TO tsad_reader;
