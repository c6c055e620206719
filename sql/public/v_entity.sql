CREATE OR REPLACE VIEW tsad.v_entity AS
  SELECT d.name AS dataset, e.name AS entity, s.state, w.first_at AS first_seen_at, w.last_at AS last_seen_at,
         CASE WHEN s.state = 'silent' THEN w.last_at END AS silent_since,
         CASE WHEN s.state = 'silent' THEN s.patience END AS usual_silence,
         CASE WHEN s.state = 'retired' THEN coalesce(t.from_at, w.last_at) END AS retired_at,
         CASE WHEN s.state = 'retired' THEN coalesce(t.said_by, 'short life') END AS retired_by,
         CASE WHEN s.state = 'retired' THEN coalesce(t.why, format('lived for %s h, as others of this dataset do', round(extract(epoch FROM w.last_at - w.first_at) / 3600))) END
           AS retired_why,
         nullif(i.carrier, '') AS carrier,
         coalesce(w.n_hours >= 3 AND w.last_at - w.first_at >= interval '48 hours', false) AS has_habit,
         u.until AS known_until, s.is_quiet, CASE WHEN s.is_quiet THEN w.last_at + s.patience END AS silent_from
  FROM tsad.dataset d
  CROSS JOIN LATERAL (
    SELECT (SELECT h.read_until FROM tsad.ingest_hour h WHERE h.dataset_id = d.dataset_id ORDER BY h.hour_at DESC LIMIT 1) AS until,
           make_interval(secs => coalesce(d.silence_s, 10800)) AS least) u
  -- In how many different hours lives ended that were short: machines that one gateway carries end in one.
  CROSS JOIN LATERAL (
    SELECT count(DISTINCT z.last_at) AS n_ends
    FROM (SELECT min(lower(l.hours)) AS first_at, max(upper(l.hours)) AS last_at
          FROM tsad.entity o JOIN tsad.entity_life l USING (entity_id)
          WHERE o.dataset_id = d.dataset_id GROUP BY o.entity_id) z
    WHERE z.last_at - z.first_at < interval '48 hours' AND u.until - z.last_at >= interval '24 hours') c
  JOIN tsad.entity e ON e.dataset_id = d.dataset_id
  LEFT JOIN tsad.inventory i ON i.entity_id = e.entity_id
  LEFT JOIN LATERAL (
    SELECT min(lower(l.hours)) AS first_at, max(upper(l.hours)) AS last_at,
           sum((SELECT sum(extract(epoch FROM upper(r) - lower(r))) FROM unnest(l.hours) r)) / 3600 AS n_hours
    FROM tsad.entity_life l WHERE l.entity_id = e.entity_id) w ON true
  LEFT JOIN LATERAL (
    SELECT r.from_at, r.said_by, r.why FROM tsad.retirement r
    WHERE r.entity_id = e.entity_id AND r.withdrawn_at IS NULL AND r.from_at <= greatest(u.until, now()) AND coalesce(w.last_at - interval '1 hour' < r.from_at, true)
    ORDER BY r.from_at, r.retirement_id LIMIT 1) t ON true
  -- The habit matters only of who is quiet now, or nearly so, and has one.
  LEFT JOIN LATERAL (
    SELECT range_agg(l.hours) AS hours FROM tsad.entity_life l
    WHERE l.entity_id = e.entity_id AND l.month_at > w.last_at - interval '120 days') y
    ON t.from_at IS NULL AND u.until - w.last_at >= u.least - interval '1 hour' AND w.last_at - w.first_at >= interval '48 hours'
  LEFT JOIN LATERAL (
    SELECT count(x.gap) AS n_gaps, max(x.gap) AS longest, max(x.end_at) - min(x.start_at) AS span, sum(x.end_at - x.start_at) AS lived,
           (array_agg(x.gap ORDER BY x.gap DESC) FILTER (WHERE x.gap IS NOT NULL))[2] AS second,
           (array_agg(x.gap ORDER BY x.gap DESC) FILTER (WHERE x.gap IS NOT NULL AND x.start_at > w.last_at - interval '28 days'))[2] AS lately
    FROM (SELECT lower(r) AS start_at, upper(r) AS end_at, lower(r) - lag(upper(r)) OVER (ORDER BY lower(r)) AS gap
          FROM unnest(y.hours) r) x) g ON true
  -- Hours of the week in which it was heard of in both weeks before, as far as that told of the last week, too.
  LEFT JOIN LATERAL (
    SELECT (SELECT range_agg(tstzrange(lower(r) + interval '168 hours', upper(r) + interval '168 hours')) FROM unnest(y.hours) r)
           * (SELECT range_agg(tstzrange(lower(r) + interval '336 hours', upper(r) + interval '336 hours')) FROM unnest(y.hours) r) AS hours) k ON true
  LEFT JOIN LATERAL (
    SELECT (SELECT sum(upper(r) - lower(r)) FROM unnest(k.hours * tstzmultirange(tstzrange(w.last_at, greatest(u.until, w.last_at)))) r) AS missed,
           (SELECT sum(upper(r) - lower(r)) FROM unnest(k.hours * tstzmultirange(tstzrange(w.last_at - interval '168 hours', w.last_at))) r) AS told,
           (SELECT sum(upper(r) - lower(r)) FROM unnest(k.hours * y.hours * tstzmultirange(tstzrange(w.last_at - interval '168 hours', w.last_at))) r) AS kept) m ON true
  CROSS JOIN LATERAL (
    SELECT greatest(u.least, 1.5 * coalesce(CASE
      WHEN g.lived < (g.span - g.longest) / 2 THEN CASE WHEN g.n_gaps >= 5 THEN g.second ELSE g.longest END
      WHEN w.last_at - w.first_at < interval '14 days' THEN g.longest
      ELSE g.lately END, interval '0')) AS patience) p
  CROSS JOIN LATERAL (
    SELECT p.patience,
           CASE WHEN t.from_at IS NOT NULL THEN 'retired'
                WHEN w.last_at IS NULL THEN 'silent'
                WHEN c.n_ends >= 10 AND w.last_at - w.first_at < interval '48 hours' AND u.until - w.last_at >= interval '24 hours' THEN 'retired'
                WHEN u.until - w.last_at >= p.patience OR (m.missed >= u.least AND m.kept >= 0.9 * m.told) THEN 'silent'
                ELSE 'alive' END AS state,
           coalesce(u.until - w.last_at >= p.patience - interval '1 hour'
                    OR (m.missed >= u.least - interval '1 hour' AND m.kept >= 0.9 * m.told), false) AS is_quiet) s;

COMMENT ON VIEW tsad.v_entity IS 'Every entity: whether it is alive, silent (and since when) or retired (and by whom). Derived from the hours with rows, up to where the source was read.';
COMMENT ON COLUMN tsad.v_entity.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_entity.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_entity.state IS 'alive, silent (nothing came for longer than is usual for it) or retired (by a person, the inventory, or a proven short life; alive again with its next rows).';
COMMENT ON COLUMN tsad.v_entity.first_seen_at IS 'Beginning of the first hour with rows; NULL: none ever came.';
COMMENT ON COLUMN tsad.v_entity.last_seen_at IS 'End of the last hour with rows.';
COMMENT ON COLUMN tsad.v_entity.silent_since IS 'Since when nothing came of a silent entity.';
COMMENT ON COLUMN tsad.v_entity.usual_silence IS 'How long nothing may come of it before it counts as silent, by its own habit; an hour of the week in which it always spoke, missed, counts sooner.';
COMMENT ON COLUMN tsad.v_entity.retired_at IS 'Since when a retired entity is gone.';
COMMENT ON COLUMN tsad.v_entity.retired_by IS 'Who said so; inventory: the source did; short life: it lived for hours, as many entities of the dataset do, and never came back.';
COMMENT ON COLUMN tsad.v_entity.retired_why IS 'Why.';
COMMENT ON COLUMN tsad.v_entity.carrier IS 'What carries its readings by the source''s inventory, such as a gateway or proxy; NULL: not said.';
COMMENT ON COLUMN tsad.v_entity.has_habit IS 'Whether it has reported for two days or more, so that silence is worth a message.';
COMMENT ON COLUMN tsad.v_entity.known_until IS 'Up to where the dataset''s source was read: all this is as of then.';
COMMENT ON COLUMN tsad.v_entity.is_quiet IS 'Whether it is silent, or will be within the hour if nothing comes.';
COMMENT ON COLUMN tsad.v_entity.silent_from IS 'From when on it counts as silent by its usual silence, if nothing comes; NULL while it is not quiet.';

GRANT SELECT ON tsad.v_entity TO tsad_writer, tsad_reader;
