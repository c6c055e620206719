CREATE OR REPLACE FUNCTION tsad.readings(dataset text, entity text, from_at timestamptz, to_at timestamptz)
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

COMMENT ON FUNCTION tsad.readings IS 'Readings of one entity in [from_at, to_at) as they came, a row per channel; what was not read has no row. Scores see them converted by tsad.v_channel_epoch.';

REVOKE ALL ON FUNCTION tsad.readings FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.readings TO tsad_writer, tsad_reader;
