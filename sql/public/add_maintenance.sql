CREATE OR REPLACE FUNCTION tsad.add_maintenance(dataset text, start_at timestamptz, end_at timestamptz, title text, entity text DEFAULT NULL, rrule text DEFAULT NULL, zone text DEFAULT NULL, margin_before_s int DEFAULT 0, margin_after_s int DEFAULT 0, created_by text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  found_dataset record;
  machine       int;
  new_id        bigint;
BEGIN
  PERFORM tsad.check_operator();
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
  PERFORM tsad.check_range(start_at, end_at);
  IF tsad.check_words('title', title, 250) = '' THEN
    RAISE EXCEPTION 'Expected a title. Received: nothing.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF margin_before_s IS NULL OR margin_after_s IS NULL OR margin_before_s NOT BETWEEN 0 AND 2678400
     OR margin_after_s NOT BETWEEN 0 AND 2678400 THEN
    RAISE EXCEPTION 'Expected margins in seconds, from 0 to 2678400 (31 days). Received: % and %.', margin_before_s, margin_after_s
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
  IF to_date(substring(rrule FROM 'UNTIL=([0-9]{8})'), 'YYYYMMDD') < (start_at AT TIME ZONE coalesce(zone, found_dataset.site_zone))::date
     OR NOT tsad.rule_can_match(rrule) THEN
    RAISE EXCEPTION 'Expected a rule that matches some day from the first time on. Received: %.', rrule
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  INSERT INTO tsad.maintenance_window (dataset_id, entity_id, start_at, end_at, rrule, zone, margin_before_s, margin_after_s, title, created_by)
  VALUES (found_dataset.dataset_id, machine, add_maintenance.start_at, add_maintenance.end_at, add_maintenance.rrule,
          coalesce(add_maintenance.zone, found_dataset.site_zone), add_maintenance.margin_before_s, add_maintenance.margin_after_s,
          add_maintenance.title, coalesce(nullif(tsad.check_words('name', add_maintenance.created_by, 250), ''), session_user))
  RETURNING window_id INTO new_id;
  RETURN new_id;
END $$;

COMMENT ON FUNCTION tsad.add_maintenance IS 'Adds a maintenance window [start_at, end_at), of one entity or of all, recurring by rrule on the wall clock of zone (default: the site''s). Counts for the past too, from the next run on (tsad maintenance add: at once).';

REVOKE ALL ON FUNCTION tsad.add_maintenance FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.add_maintenance TO tsad_writer, tsad_operator, tsad_reader;
