-- Challengers in the shadow, promotions and rollbacks; nothing that was ever decided is overwritten.

-- Who was champion when, and since when that was so ------------------------------------------------------------------

ALTER TABLE tsad.champion_period RENAME TO champion_record;
ALTER TABLE tsad.champion_record
  ADD COLUMN recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ADD COLUMN replaced_at timestamptz NOT NULL DEFAULT 'infinity';
UPDATE tsad.champion_record SET recorded_at = decided_at;
DO $$
DECLARE
  former text;
BEGIN
  SELECT conname INTO STRICT former FROM pg_constraint
  WHERE conrelid = 'tsad.champion_record'::regclass AND contype = 'x';
  EXECUTE format('ALTER TABLE tsad.champion_record DROP CONSTRAINT %I', former);
END $$;
ALTER TABLE tsad.champion_record ADD CONSTRAINT champion_record_one_at_a_time
  EXCLUDE USING gist (lineage WITH =, dataset_id WITH =, scope_entity_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
  WHERE (replaced_at = 'infinity');
COMMENT ON TABLE tsad.champion_record IS
  'Which model speaks for which hours, and from when to when that was so. Lineages: live is what people see, replay what backfilled retrainings would have said, live/shadow and replay/shadow their challengers, what_if/<run> a question that somebody asked.';
COMMENT ON COLUMN tsad.champion_record.replaced_at IS 'When a promotion or a rollback put other rows in its place; infinity: it holds.';

CREATE VIEW tsad.champion_period AS
  SELECT lineage, dataset_id, scope_entity_id, model_id, valid_from, valid_to, decided_at, reason, recorded_at
  FROM tsad.champion_record WHERE replaced_at = 'infinity';
COMMENT ON VIEW tsad.champion_period IS 'The champion records that hold. Periods of a lineage and scope never overlap.';

ALTER TABLE tsad.gate_decision ADD COLUMN stage text NOT NULL DEFAULT 'gate' CHECK (stage IN ('gate', 'shadow'));
ALTER TABLE tsad.gate_decision ADD COLUMN low double precision, ADD COLUMN high double precision;
ALTER TABLE tsad.gate_decision DROP CONSTRAINT gate_decision_pkey, ADD PRIMARY KEY (model_id, stage, rule);
COMMENT ON TABLE tsad.gate_decision IS 'Each rule of the gate, and of the shadow after it: its numbers and its outcome.';
COMMENT ON COLUMN tsad.gate_decision.low IS 'Where value may well lie, 95 %: lower end; NULL where it is no estimate.';

CREATE TABLE tsad.model_decision (
  decision_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  model_id        int NOT NULL REFERENCES tsad.model,
  lineage         text NOT NULL,
  decision        text NOT NULL CHECK (decision IN
    ('gate_failed', 'shadow_started', 'shadow_failed', 'superseded', 'declined', 'promoted', 'rolled_back')),
  former_model_id int REFERENCES tsad.model,
  valid_from      timestamptz,
  decided_by      text NOT NULL DEFAULT '',
  reason          text NOT NULL DEFAULT '',
  decided_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON tsad.model_decision (model_id);
COMMENT ON TABLE tsad.model_decision IS 'What became of each model, in order; never changed.';
COMMENT ON COLUMN tsad.model_decision.decided_by IS 'gate, shadow, or who said so.';

-- Public SQL: what people see is live, or a replay that they ask for; shadows and questions have views of their own
-- (v_incident follows in 0004, v_status in 0007) ---------------------------------------------------------------------

CREATE OR REPLACE VIEW tsad.v_anomaly AS
  SELECT d.name AS dataset, e.name AS entity, a.at, p.lineage, a.kind, a.severity, a.score, a.error, a.threshold,
         t.channel, t.share, t.actual, t.expected, t.unit, a.provisional, a.model_id, a.revision, a.known_from
  FROM tsad.anomaly a
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.champion_period p ON p.model_id = a.model_id AND a.hour_at >= p.valid_from AND a.hour_at < p.valid_to
    AND p.lineage IN ('live', 'replay')
  LEFT JOIN LATERAL (
    SELECT c.name AS channel, c.unit, r.share, r.actual, r.expected
    FROM tsad.attribution r JOIN tsad.channel c USING (channel_id)
    WHERE r.entity_id = a.entity_id AND r.at = a.at AND r.model_id = a.model_id
    ORDER BY r.share DESC, r.channel_id LIMIT 1) t ON true
  WHERE a.superseded_at = 'infinity';

CREATE OR REPLACE VIEW tsad.v_attribution AS
  SELECT d.name AS dataset, e.name AS entity, r.at, c.name AS channel, c.unit, r.share, r.actual, r.expected, r.spread, r.model_id,
         top.step, top.share AS step_share, p.lineage
  FROM tsad.attribution r
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.channel c USING (channel_id)
  JOIN tsad.champion_period p ON p.model_id = r.model_id AND r.at >= p.valid_from AND r.at < p.valid_to
    AND p.lineage IN ('live', 'replay')
  LEFT JOIN LATERAL (
    SELECT s.step::int AS step, s.share FROM unnest(r.step_shares) WITH ORDINALITY AS s (share, step)
    ORDER BY s.share DESC, s.step DESC LIMIT 1) top ON true;
COMMENT ON COLUMN tsad.v_attribution.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';

CREATE OR REPLACE VIEW tsad.v_attribution_step AS
  SELECT d.name AS dataset, e.name AS entity, r.at, c.name AS channel, c.unit, s.step::int AS step,
         r.at - make_interval(secs => (cardinality(r.step_shares) - s.step) * d.step_s) AS step_at, s.share, r.model_id, p.lineage
  FROM tsad.attribution r
  CROSS JOIN LATERAL unnest(r.step_shares) WITH ORDINALITY AS s (share, step)
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.channel c USING (channel_id)
  JOIN tsad.champion_period p ON p.model_id = r.model_id AND r.at >= p.valid_from AND r.at < p.valid_to
    AND p.lineage IN ('live', 'replay');
COMMENT ON COLUMN tsad.v_attribution_step.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';

CREATE OR REPLACE VIEW tsad.v_model AS
  SELECT d.name AS dataset, m.model_id, m.version, e.name AS entity, m.lineage, m.detector, m.train_start_at, m.train_end_at,
         m.gate_passed, p.valid_from, p.valid_to, coalesce(p.valid_to = 'infinity', false) AS champion, m.n_parameters, m.seed,
         m.parent_model_id, m.config_hash, m.sha256, m.artifact_uri, m.card, m.created_at,
         CASE WHEN s.valid_to = 'infinity' THEN 'shadow' WHEN p.valid_to = 'infinity' THEN 'champion'
              WHEN p.valid_from IS NOT NULL THEN 'former champion' WHEN NOT m.gate_passed THEN 'gate failed'
              ELSE coalesce(replace(l.decision, '_', ' '), 'registered') END AS state,
         s.valid_from AS shadow_from, s.valid_to AS shadow_to
  FROM tsad.model m
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.entity e ON e.entity_id = m.scope_entity_id
  LEFT JOIN tsad.champion_period p ON p.model_id = m.model_id AND p.lineage = m.lineage
  LEFT JOIN tsad.champion_period s ON s.model_id = m.model_id AND s.lineage = m.lineage || '/shadow'
  LEFT JOIN LATERAL (
    SELECT x.decision FROM tsad.model_decision x WHERE x.model_id = m.model_id ORDER BY x.decision_id DESC LIMIT 1) l ON true;
COMMENT ON COLUMN tsad.v_model.state IS 'champion, shadow, former champion, gate failed, or what was last decided on it.';
COMMENT ON COLUMN tsad.v_model.shadow_from IS 'From which hour on it was scored beside the champion.';
COMMENT ON COLUMN tsad.v_model.shadow_to IS 'Up to which hour; infinity: it still is.';

CREATE OR REPLACE VIEW tsad.v_model_decision AS
  SELECT d.name AS dataset, m.version, g.model_id, g.rule, g.value, g.limit_value, g.champion_value, g.passed, g.note, g.decided_at,
         g.stage, g.low, g.high
  FROM tsad.gate_decision g
  JOIN tsad.model m USING (model_id)
  JOIN tsad.dataset d USING (dataset_id);
COMMENT ON VIEW tsad.v_model_decision IS 'Why a challenger passed the gate and its shadow or did not, rule by rule.';
COMMENT ON COLUMN tsad.v_model_decision.stage IS 'gate: before it was ever used; shadow: after it was scored beside the champion.';
COMMENT ON COLUMN tsad.v_model_decision.low IS 'Where value may well lie, 95 %: lower end; NULL where it is no estimate.';
COMMENT ON COLUMN tsad.v_model_decision.high IS 'Upper end.';

CREATE VIEW tsad.v_model_history AS
  SELECT d.name AS dataset, e.name AS entity, x.lineage, m.version, x.model_id, x.decision, f.version AS former_version,
         x.valid_from, x.decided_by, x.reason, x.decided_at
  FROM tsad.model_decision x
  JOIN tsad.model m USING (model_id)
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.entity e ON e.entity_id = m.scope_entity_id
  LEFT JOIN tsad.model f ON f.model_id = x.former_model_id;
COMMENT ON VIEW tsad.v_model_history IS 'Everything that was decided on models, in order: shadow_started, promoted, rolled_back, …';
COMMENT ON COLUMN tsad.v_model_history.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_model_history.entity IS 'The entity that the model belongs to; NULL: one model for the whole dataset.';
COMMENT ON COLUMN tsad.v_model_history.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_model_history.version IS 'Number of the model within its dataset.';
COMMENT ON COLUMN tsad.v_model_history.model_id IS 'The model; see v_model.';
COMMENT ON COLUMN tsad.v_model_history.decision IS 'gate_failed, shadow_started, shadow_failed, superseded, declined, promoted or rolled_back (it is champion again).';
COMMENT ON COLUMN tsad.v_model_history.former_version IS 'Whose place it took.';
COMMENT ON COLUMN tsad.v_model_history.valid_from IS 'From which hour on.';
COMMENT ON COLUMN tsad.v_model_history.decided_by IS 'gate, shadow, or who said so.';
COMMENT ON COLUMN tsad.v_model_history.reason IS 'Why.';
COMMENT ON COLUMN tsad.v_model_history.decided_at IS 'When this was decided.';

CREATE VIEW tsad.v_shadow AS
  SELECT d.name AS dataset, e.name AS entity, c.hour_at, p.lineage, n.version AS challenger_version, o.version AS champion_version,
         c.status AS challenger_status, b.status AS champion_status, u.n_paired, u.n_agreed, u.n_challenger_flags, u.n_champion_flags
  FROM tsad.champion_period h
  JOIN tsad.score_block c ON c.model_id = h.model_id AND c.hour_at >= h.valid_from AND c.hour_at < h.valid_to
    AND c.superseded_at = 'infinity' AND c.thresholds IS NOT NULL
  JOIN tsad.champion_period p ON p.lineage || '/shadow' = h.lineage AND p.dataset_id = h.dataset_id
    AND p.scope_entity_id = h.scope_entity_id AND c.hour_at >= p.valid_from AND c.hour_at < p.valid_to
  JOIN tsad.score_block b ON b.model_id = p.model_id AND b.entity_id = c.entity_id AND b.hour_at = c.hour_at
    AND b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL
  JOIN tsad.model n ON n.model_id = c.model_id
  JOIN tsad.model o ON o.model_id = b.model_id
  JOIN tsad.entity e ON e.entity_id = c.entity_id
  JOIN tsad.dataset d ON d.dataset_id = h.dataset_id
  CROSS JOIN LATERAL (
    SELECT (count(*) FILTER (WHERE s.old IS NOT NULL AND s.new IS NOT NULL))::int AS n_paired,
           (count(*) FILTER (WHERE (s.old > 0) = (s.new > 0)))::int AS n_agreed,
           (count(*) FILTER (WHERE s.new > 0 AND s.old IS NOT NULL))::int AS n_challenger_flags,
           (count(*) FILTER (WHERE s.old > 0 AND s.new IS NOT NULL))::int AS n_champion_flags
    FROM unnest(b.scores, c.scores) AS s (old, new)) u;
COMMENT ON VIEW tsad.v_shadow IS 'A challenger beside its champion, hour by hour, on the steps that both have scored. Challengers in the shadow never alert.';
COMMENT ON COLUMN tsad.v_shadow.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_shadow.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_shadow.hour_at IS 'Beginning of the hour, UTC.';
COMMENT ON COLUMN tsad.v_shadow.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_shadow.challenger_version IS 'Number of the challenger within its dataset.';
COMMENT ON COLUMN tsad.v_shadow.champion_version IS 'Number of the champion within its dataset.';
COMMENT ON COLUMN tsad.v_shadow.challenger_status IS 'The hour''s status as scored by the challenger; see v_status.';
COMMENT ON COLUMN tsad.v_shadow.champion_status IS 'The hour''s status as scored by the champion; see v_status.';
COMMENT ON COLUMN tsad.v_shadow.n_paired IS 'Steps that both have scored.';
COMMENT ON COLUMN tsad.v_shadow.n_agreed IS 'Steps of these that both flag, or neither.';
COMMENT ON COLUMN tsad.v_shadow.n_challenger_flags IS 'Steps of these that the challenger flags.';
COMMENT ON COLUMN tsad.v_shadow.n_champion_flags IS 'Steps of these that the champion flags.';

CREATE OR REPLACE FUNCTION tsad.scores_as_known_at(known_at timestamptz, dataset text, entity text, from_at timestamptz, to_at timestamptz, lineage text DEFAULT 'live')
RETURNS TABLE (at timestamptz, error real, threshold real, score real, flag boolean, reason text, status text, model_id int, revision int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT b.hour_at + make_interval(secs => (u.i - 1)::int * (3600 / cardinality(b.reasons))), u.error, u.threshold, u.score, u.score > 0, r.name, b.status, b.model_id, b.revision
  FROM tsad.dataset d
  JOIN tsad.entity e ON e.dataset_id = d.dataset_id AND e.name = scores_as_known_at.entity
  JOIN tsad.score_block b ON b.entity_id = e.entity_id
    AND b.hour_at >= date_trunc('hour', from_at, 'UTC') AND b.hour_at < to_at
    AND b.scored_at <= known_at AND b.superseded_at > known_at AND b.thresholds IS NOT NULL
  JOIN tsad.champion_record p ON p.model_id = b.model_id AND p.lineage = scores_as_known_at.lineage
    AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to AND p.recorded_at <= known_at AND p.replaced_at > known_at
  CROSS JOIN LATERAL unnest(b.errors, b.thresholds, b.scores, b.reasons) WITH ORDINALITY AS u(error, threshold, score, reason, i)
  JOIN tsad.reason r ON r.reason = u.reason
  WHERE d.name = scores_as_known_at.dataset
    AND b.hour_at + make_interval(secs => (u.i - 1)::int * (3600 / cardinality(b.reasons))) >= from_at
    AND b.hour_at + make_interval(secs => (u.i - 1)::int * (3600 / cardinality(b.reasons))) < to_at
  ORDER BY 1
$$;

GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.model_decision TO tsad_writer;
GRANT SELECT ON tsad.champion_period TO tsad_writer, tsad_reader;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA tsad TO tsad_writer;
GRANT SELECT ON tsad.v_model_history, tsad.v_shadow TO tsad_writer, tsad_reader;

CREATE FUNCTION tsad.compare_lineages(dataset text, lineage text, other text, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (entity text, hour_at timestamptz, version int, other_version int, n_paired int, n_agreed int, n_flags int, n_other_flags int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT e.name, c.hour_at, n.version, o.version, u.n_paired, u.n_agreed, u.n_flags, u.n_other_flags
  FROM tsad.dataset d
  JOIN tsad.champion_period h ON h.dataset_id = d.dataset_id AND h.lineage = compare_lineages.lineage
  JOIN tsad.score_block c ON c.model_id = h.model_id AND c.hour_at >= h.valid_from AND c.hour_at < h.valid_to
    AND c.superseded_at = 'infinity' AND c.thresholds IS NOT NULL AND c.hour_at >= from_at AND c.hour_at < to_at
  JOIN tsad.champion_period p ON p.lineage = other AND p.dataset_id = d.dataset_id
    AND c.hour_at >= p.valid_from AND c.hour_at < p.valid_to
  JOIN tsad.score_block b ON b.model_id = p.model_id AND b.entity_id = c.entity_id AND b.hour_at = c.hour_at
    AND b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL
  JOIN tsad.model n ON n.model_id = c.model_id
  JOIN tsad.model o ON o.model_id = b.model_id
  JOIN tsad.entity e ON e.entity_id = c.entity_id
  CROSS JOIN LATERAL (
    SELECT (count(*) FILTER (WHERE s.old IS NOT NULL AND s.new IS NOT NULL))::int AS n_paired,
           (count(*) FILTER (WHERE (s.old > 0) = (s.new > 0)))::int AS n_agreed,
           (count(*) FILTER (WHERE s.new > 0 AND s.old IS NOT NULL))::int AS n_flags,
           (count(*) FILTER (WHERE s.old > 0 AND s.new IS NOT NULL))::int AS n_other_flags
    FROM unnest(b.scores, c.scores) AS s (old, new)) u
  WHERE d.name = compare_lineages.dataset
  ORDER BY 1, 2
$$;
COMMENT ON FUNCTION tsad.compare_lineages IS 'Two lineages side by side, such as a what_if/<run> and live: a row per entity and hour that both have scored.';
REVOKE ALL ON FUNCTION tsad.compare_lineages FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.compare_lineages TO tsad_writer, tsad_reader;
