CREATE OR REPLACE VIEW tsad.v_health AS
  SELECT d.name AS dataset,
         CASE WHEN q.state = 'ok' AND n.n_missed > 0 THEN 'degraded' ELSE q.state END AS state,
         s.scored_until, greatest(l.late_s, 0) AS late_s,
         CASE WHEN r.read_until IS NULL THEN 'nothing was read from its source yet'
              WHEN p.n_champions = 0 THEN 'it has no champion, so nothing is scored'
              WHEN a.all_failed THEN format('its newest hours failed: %s', u.detail)
              WHEN s.scored_until IS NULL THEN 'its champion has not scored an hour yet'
              WHEN f.step IS NOT NULL THEN format('%s: %s %s', f.step, f.state, f.message)
              WHEN l.late_s > greatest(900, i.interval_s / 4) THEN
                format('no run has come further; %s', coalesce('the last one ended at ' || to_char(x.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC', 'none has ended yet'))
              WHEN u.n_entities > 0 THEN format('the newest hours of %s of its entities failed: %s', u.n_entities, u.detail)
              WHEN n.n_live = 0 THEN 'none of its entities is alive'
              WHEN m.n_failed > 0 THEN format('%s messages were given up, see v_notification', m.n_failed)
              WHEN n.n_missed > 0 THEN
                format('%s of its entities silent: %s since %s UTC%s; see tsad entities, and tsad retire of what is gone',
                       n.n_missed, n.missed, to_char(n.missed_since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), CASE WHEN n.n_missed > 1 THEN ' and others' ELSE '' END)
              END AS why,
         x.finished_at AS last_run_at, r.read_until, r.newest_reading_at, n.n_live, n.n_silent, n.n_retired,
         p.champion, p.trained_until AS champion_trained_until, r.read_until - p.trained_until AS champion_age,
         CASE WHEN f.step IS NOT NULL THEN format('%s: %s %s', f.step, f.state, f.message) END AS last_error, e.finished_at AS last_error_at, n.n_missed, q.state AS scoring_state
  FROM tsad.dataset d
  CROSS JOIN LATERAL (SELECT coalesce(d.interval_s, 3600) AS interval_s, coalesce(d.wait_s, 0) AS wait_s) i
  LEFT JOIN LATERAL (
    SELECT h.read_until,
           (SELECT g.newest_at FROM tsad.ingest_hour g WHERE g.dataset_id = d.dataset_id AND g.newest_at IS NOT NULL ORDER BY g.hour_at DESC LIMIT 1)
             AS newest_reading_at
    FROM tsad.ingest_hour h WHERE h.dataset_id = d.dataset_id ORDER BY h.hour_at DESC LIMIT 1) r ON true
  CROSS JOIN LATERAL (
    SELECT count(*) AS n_champions, min(o.train_end_at) AS trained_until,
           'version ' || max(o.version) || CASE WHEN count(*) > 1 THEN ' and ' || count(*) - 1 || ' more' ELSE '' END AS champion
    FROM tsad.champion_period c JOIN tsad.model o USING (model_id)
    WHERE c.dataset_id = d.dataset_id AND c.lineage = 'live' AND c.valid_to = 'infinity') p
  -- Champions of now, and of just before them: their last hour with a score, or that all were silent in.
  CROSS JOIN LATERAL (
    SELECT w.done_until, CASE WHEN w.done_until IS NOT NULL THEN least(w.done_until, r.read_until) END AS scored_until
    FROM (
      SELECT CASE WHEN count(k.hour_at) > 0 THEN max(greatest(t.hour_at, k.hour_at)) + interval '1 hour' END AS done_until
      FROM (SELECT c.model_id, c.valid_from, c.valid_to FROM tsad.champion_period c
            WHERE c.dataset_id = d.dataset_id AND c.lineage = 'live' AND c.valid_to = 'infinity'
            UNION ALL
            (SELECT c.model_id, c.valid_from, c.valid_to FROM tsad.champion_period c
             WHERE c.dataset_id = d.dataset_id AND c.lineage = 'live' AND c.valid_to <> 'infinity' ORDER BY c.valid_to DESC LIMIT 3)) c
      LEFT JOIN LATERAL (
        SELECT h.hour_at FROM tsad.score_hour h
        WHERE h.model_id = c.model_id AND h.is_done AND h.hour_at >= c.valid_from AND h.hour_at < c.valid_to
          AND NOT EXISTS (
            SELECT FROM tsad.unscored_hour u JOIN tsad.entity e USING (entity_id)
            WHERE e.dataset_id = d.dataset_id AND u.hour_at = h.hour_at AND u.lineage = 'live' AND u.superseded_at = 'infinity')
        ORDER BY h.hour_at DESC LIMIT 1) t ON true
      CROSS JOIN LATERAL (
        SELECT max(b.hour_at) AS hour_at
        FROM tsad.entity e
        CROSS JOIN LATERAL (
          SELECT b.hour_at FROM tsad.score_block b
          WHERE b.entity_id = e.entity_id AND b.model_id = c.model_id AND b.hour_at >= c.valid_from AND b.hour_at < c.valid_to
            AND b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL
          ORDER BY b.hour_at DESC LIMIT 1) b
        WHERE e.dataset_id = d.dataset_id) k) w) s
  -- Entities whose newest hours failed.
  CROSS JOIN LATERAL (
    SELECT count(*) AS n_entities, max(u.hour_at) AS failed_at, (array_agg(u.detail ORDER BY u.hour_at DESC, e.entity_id))[1] AS detail
    FROM tsad.entity e
    CROSS JOIN LATERAL (
      SELECT u.hour_at, u.detail FROM tsad.unscored_hour u
      WHERE u.lineage = 'live' AND u.entity_id = e.entity_id AND u.hour_at >= coalesce(s.done_until - interval '1 hour', '-infinity')
        AND u.status = 'failed' AND u.superseded_at = 'infinity'
      ORDER BY u.hour_at DESC LIMIT 1) u
    WHERE e.dataset_id = d.dataset_id
      AND NOT EXISTS (
        SELECT FROM tsad.champion_period c JOIN tsad.score_block b USING (model_id)
        WHERE c.dataset_id = d.dataset_id AND c.lineage = 'live' AND b.hour_at >= c.valid_from AND b.hour_at < c.valid_to
          AND b.entity_id = e.entity_id AND b.hour_at = u.hour_at AND b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL
        OFFSET 0)) u
  CROSS JOIN LATERAL (SELECT u.failed_at >= coalesce(s.done_until, '-infinity') AS all_failed) a
  CROSS JOIN LATERAL (
    SELECT round(extract(epoch FROM now() - s.scored_until))::bigint - i.interval_s - i.wait_s AS late_s) l
  LEFT JOIN LATERAL (
    SELECT z.finished_at FROM tsad.run_status z WHERE z.dataset_id = d.dataset_id ORDER BY z.finished_at DESC LIMIT 1) x ON true
  LEFT JOIN LATERAL (
    SELECT z.finished_at FROM tsad.run_status z
    WHERE z.dataset_id = d.dataset_id AND z.state NOT IN ('done', 'nothing_to_do', 'not_yet')
    ORDER BY z.finished_at DESC LIMIT 1) e ON true
  -- The newest failure that nothing has made good yet. OFFSET: asked of each failure, by the index of times.
  LEFT JOIN LATERAL (
    SELECT z.step, z.state, left(z.message, 300) AS message
    FROM tsad.run_status z
    WHERE z.dataset_id = d.dataset_id AND z.state NOT IN ('done', 'nothing_to_do', 'not_yet')
      AND NOT EXISTS (
        SELECT FROM tsad.run_status y
        WHERE y.dataset_id = d.dataset_id AND y.step = z.step AND y.run_id <> z.run_id AND y.finished_at > z.finished_at
          AND y.state IN ('done', 'nothing_to_do')
        OFFSET 0)
    ORDER BY z.finished_at DESC LIMIT 1) f ON true
  CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE y.state = 'alive') AS n_live, count(*) FILTER (WHERE y.state = 'silent') AS n_silent,
           count(*) FILTER (WHERE y.state = 'retired') AS n_retired,
           count(*) FILTER (WHERE y.state = 'silent' AND y.has_habit) AS n_missed,
           (array_agg(y.entity ORDER BY y.silent_since DESC, y.entity) FILTER (WHERE y.state = 'silent' AND y.has_habit))[1] AS missed,
           max(y.silent_since) FILTER (WHERE y.state = 'silent' AND y.has_habit) AS missed_since
    FROM tsad.v_entity y WHERE y.dataset = d.name) n
  CROSS JOIN LATERAL (
    SELECT count(*) AS n_failed FROM tsad.notification k WHERE k.dataset_id = d.dataset_id AND k.bundled_into IS NULL
      AND k.failed_at > now() - interval '2 days') m
  CROSS JOIN LATERAL (
    SELECT CASE WHEN s.scored_until IS NULL OR p.n_champions = 0 OR a.all_failed OR l.late_s > greatest(21600, 6 * i.interval_s) THEN 'not_scoring'
                WHEN l.late_s > greatest(900, i.interval_s / 4) THEN 'late'
                WHEN f.step IS NOT NULL OR u.n_entities > 0 OR n.n_live = 0 OR m.n_failed > 0 THEN 'degraded'
                ELSE 'ok' END AS state) q;

COMMENT ON VIEW tsad.v_health IS 'One row per dataset, for somebody else''s monitoring: whether it is scored in time, and if not, why.';
COMMENT ON COLUMN tsad.v_health.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_health.state IS 'ok; late (the next interval is overdue by a quarter of one and at least 15 minutes); degraded (in time, but a step or some entities'' hours failed, messages were given up, no entity is alive, or one that usually reports is silent); not_scoring (no champion, nothing scored yet, the newest hours failed, or overdue by six intervals and at least six hours).';
COMMENT ON COLUMN tsad.v_health.scored_until IS 'Up to where live champions have scored, also where all entities were silent; hours that failed or had no champion do not count. NULL: never.';
COMMENT ON COLUMN tsad.v_health.late_s IS 'Seconds since the next interval could have been scored; a run has some minutes for it.';
COMMENT ON COLUMN tsad.v_health.why IS 'What is wrong; NULL: nothing.';
COMMENT ON COLUMN tsad.v_health.last_run_at IS 'When a step of any of its runs last ended, by the warehouse''s clock.';
COMMENT ON COLUMN tsad.v_health.read_until IS 'Up to where its source was read.';
COMMENT ON COLUMN tsad.v_health.newest_reading_at IS 'Time of the newest reading.';
COMMENT ON COLUMN tsad.v_health.n_live IS 'Entities that are alive; see v_entity.';
COMMENT ON COLUMN tsad.v_health.n_silent IS 'Entities that are silent.';
COMMENT ON COLUMN tsad.v_health.n_retired IS 'Entities that are retired.';
COMMENT ON COLUMN tsad.v_health.champion IS 'The live champion, the newest of several; NULL: there is none.';
COMMENT ON COLUMN tsad.v_health.champion_trained_until IS 'End of the training range of the champion, the oldest of several.';
COMMENT ON COLUMN tsad.v_health.champion_age IS 'From there to where the source was read.';
COMMENT ON COLUMN tsad.v_health.last_error IS 'The newest failure of a step that nothing has made good since; NULL: there is none.';
COMMENT ON COLUMN tsad.v_health.last_error_at IS 'When a step last failed, whether or not it was made good since; NULL: none did.';
COMMENT ON COLUMN tsad.v_health.n_missed IS 'Silent entities that have reported for two days or more: nobody knows how they are until they are back, or retired.';
COMMENT ON COLUMN tsad.v_health.scoring_state IS 'The state, whichever entities are silent.';

GRANT SELECT ON tsad.v_health TO tsad_writer, tsad_reader;
