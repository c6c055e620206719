CREATE OR REPLACE FUNCTION tsad.refresh_dataset_view(of_dataset_id int) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
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
    JOIN tsad.channel c USING (channel_id)
    -- A view has 1,600 columns; tsad.readings(...) shows all channels.
    WHERE i <= 1597;
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
  FOR sensor IN
    SELECT c.name, w.said FROM tsad.channel c
    JOIN pg_attribute a ON a.attrelid = format('tsad.%I', view_name)::regclass AND a.attname = c.name
    -- As queries/storage/refresh_dataset_view.sql says it: a column stays when its channel leaves the file, and says so.
    CROSS JOIN LATERAL (SELECT nullif(concat_ws('. ', 'Unit: ' || c.unit, 'Not in the dataset file since '
      || to_char(c.removed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC; what was read until then stays'), '') AS said) w
    WHERE c.dataset_id = of_dataset_id AND col_description(a.attrelid, a.attnum) IS DISTINCT FROM w.said
  LOOP
    EXECUTE format('COMMENT ON COLUMN tsad.%I.%I IS %L', view_name, sensor.name, sensor.said);
  END LOOP;
  EXECUTE format('GRANT SELECT ON tsad.%I TO tsad_reader, tsad_writer', view_name);
  RETURN view_name;
EXCEPTION WHEN lock_not_available OR dependent_objects_still_exist THEN
  -- Somebody reads it, or has built on one that must be made anew. Whoever comes after us would wait, too: it is left to the next call.
  RETURN NULL;
END $$;

COMMENT ON FUNCTION tsad.refresh_dataset_view IS 'Makes the dataset''s own view readings_<dataset> (of its first 1,597 channels), or adds the columns by which its layout grew; what a column is, and that its channel is no longer in the file, are comments. While somebody reads it for longer than two seconds, or has built on one that must be made anew, it stays as it is, and NULL is returned.';

REVOKE ALL ON FUNCTION tsad.refresh_dataset_view FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.refresh_dataset_view TO tsad_writer;
