CREATE OR REPLACE VIEW tsad.hour_not_run AS
  SELECT g.dataset_id, e.entity_id, h.hour_at,
         CASE WHEN h.settled_at + make_interval(secs => d.interval_s) > now() THEN 'waiting' ELSE 'not_run' END AS status,
         CASE WHEN h.settled_at + make_interval(secs => d.interval_s) > now()
              THEN format('its rows are waited for until %s UTC', to_char(h.settled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'))
              ELSE format('scheduled runs have come to %s UTC; the next one goes on from there',
                          to_char(g.done_until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')) END AS detail
  FROM tsad.scoring_progress g
  JOIN tsad.dataset d USING (dataset_id)
  JOIN tsad.entity e USING (dataset_id)
  CROSS JOIN LATERAL (
    SELECT at AS hour_at, at + interval '1 hour' + make_interval(secs => d.wait_s) AS settled_at
    FROM generate_series(date_trunc('hour', g.done_until, 'UTC'), now() - interval '1 hour', interval '1 hour') AS at) h
  -- An entity that was silent for a day before is not missed.
  WHERE EXISTS (
    SELECT FROM tsad.entity_life l
    WHERE l.entity_id = e.entity_id AND l.month_at >= date_trunc('month', g.done_until - interval '1 day', 'UTC')
      AND l.hours && tstzrange(g.done_until - interval '1 day', g.done_until))
    AND NOT EXISTS (
      SELECT FROM tsad.score_hour a
      JOIN tsad.champion_period p ON p.model_id = a.model_id AND p.lineage = 'live' AND a.hour_at >= p.valid_from AND a.hour_at < p.valid_to
      WHERE p.dataset_id = g.dataset_id AND a.hour_at = h.hour_at AND a.is_done)
    AND NOT EXISTS (
      SELECT FROM tsad.score_block b
      JOIN tsad.champion_period p ON p.model_id = b.model_id AND p.lineage = 'live' AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to
      WHERE b.entity_id = e.entity_id AND b.hour_at = h.hour_at AND b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL)
    AND NOT EXISTS (
      SELECT FROM tsad.unscored_hour u
      WHERE u.entity_id = e.entity_id AND u.hour_at = h.hour_at AND u.lineage = 'live' AND u.superseded_at = 'infinity');

COMMENT ON VIEW tsad.hour_not_run IS 'Hours that have ended and that no scheduled run has come to yet, of entities that are heard of; v_status says them.';

GRANT SELECT ON tsad.hour_not_run TO tsad_writer, tsad_reader;
