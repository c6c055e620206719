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
         b.scored_at,
         CASE WHEN k.weekdays_seen[extract(isodow FROM b.hour_at AT TIME ZONE d.site_zone)::int] < 3
              THEN to_char(b.hour_at AT TIME ZONE d.site_zone, 'FMDay') END AS unknown_weekday,
         (SELECT string_agg(c.name, ', ' ORDER BY c.name) FROM tsad.channel c WHERE c.channel_id = ANY(b.outside)) AS outside_experience
  FROM tsad.score_block b
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.champion_period p ON p.model_id = b.model_id AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to
    AND p.lineage IN ('live', 'replay')
  LEFT JOIN tsad.entity_scale s ON s.entity_id = b.entity_id
  LEFT JOIN tsad.model k ON k.model_id = b.model_id AND k.is_young
  WHERE b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL
  UNION ALL
  -- 0::real: only where types agree in all parts does PostgreSQL leave out columns, and what they look up, that nobody asks for.
  SELECT d.name, e.name, u.hour_at, u.lineage, u.status, 0::real, 0, 0, false, NULL, u.revision, u.detail, u.decided_at, NULL, NULL
  FROM tsad.unscored_hour u
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d USING (dataset_id)
  WHERE u.superseded_at = 'infinity' AND u.lineage IN ('live', 'replay')
    -- What the champion of the hour has scored, in its shadow say, has a score. OFFSET: asked of each such hour, by its index.
    AND NOT EXISTS (
      SELECT FROM tsad.score_block b
      JOIN tsad.champion_period p ON p.model_id = b.model_id AND p.lineage = u.lineage AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to
      WHERE b.entity_id = u.entity_id AND b.hour_at = u.hour_at AND b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL
      OFFSET 0)
  UNION ALL
  SELECT d.name, e.name, n.hour_at, 'live', n.status, 0::real, 0, 0, false, NULL, NULL, n.detail, NULL, NULL, NULL
  FROM tsad.hour_not_run n
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.dataset d ON d.dataset_id = n.dataset_id;

COMMENT ON VIEW tsad.v_status IS 'One row per entity and hour: was it scored, by which model, on how much; and if not, why not.';
COMMENT ON COLUMN tsad.v_status.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_status.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_status.hour_at IS 'Beginning of the hour, UTC.';
COMMENT ON COLUMN tsad.v_status.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_status.status IS 'scored, partial (some steps), insufficient_history, gap, stale, off, unknown_entity_scale (scored by the pooled scale, provisional), inputs_retired, no_champion, failed, waiting (its rows have not settled) or not_run (no scheduled run has come to it; the next one does).';
COMMENT ON COLUMN tsad.v_status.coverage IS 'Share of the needed steps that have a score, each weighed by the share of the entity''s channels that were live.';
COMMENT ON COLUMN tsad.v_status.n_needed IS 'Steps of the hour that should have a score: running, past the start-up, read by then.';
COMMENT ON COLUMN tsad.v_status.n_seen IS 'Steps of these that have a score.';
COMMENT ON COLUMN tsad.v_status.provisional IS 'The entity had no scale of its own yet.';
COMMENT ON COLUMN tsad.v_status.model_id IS 'The model; see v_model.';
COMMENT ON COLUMN tsad.v_status.revision IS 'How often this was written anew, after late or changed readings; 1 is the first; NULL: nothing was written yet.';
COMMENT ON COLUMN tsad.v_status.detail IS 'More in words: how long until a new machine has a scale of its own, or a replaced sensor is known.';
COMMENT ON COLUMN tsad.v_status.scored_at IS 'When this was written, not when it was read; NULL: nothing was.';
COMMENT ON COLUMN tsad.v_status.unknown_weekday IS 'The weekday, where the young model that scored the hour has seen it fewer than three times; NULL: it knows it.';
COMMENT ON COLUMN tsad.v_status.outside_experience IS 'Setpoints, loads and ambient conditions that were outside of what training saw for half of the hour: scores are LOW at most there; NULL: none.';

GRANT SELECT ON tsad.v_status TO tsad_writer, tsad_reader;
