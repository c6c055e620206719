CREATE OR REPLACE FUNCTION tsad.rule_can_match(rrule text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  longest  int[] := ARRAY[31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  months   int[] := coalesce(string_to_array(substring(rrule FROM 'BYMONTH=([0-9,]+)'), ',')::int[], ARRAY[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  days     int[] := string_to_array(substring(rrule FROM 'BYMONTHDAY=([0-9,-]+)'), ',')::int[];
  position int := abs(substring(rrule FROM 'BYSETPOS=(-?[0-9]+)')::int);
  weekdays int := coalesce(cardinality(string_to_array(substring(rrule FROM 'BYDAY=([^;]+)'), ',')), 1);
BEGIN
  RETURN (days IS NULL OR EXISTS (SELECT FROM unnest(months) m, unnest(days) d WHERE abs(d) <= longest[m]))
    -- Of the days of one year, month, week or day it can take no more than there are.
    AND (position IS NULL OR position <= CASE
      WHEN rrule LIKE 'FREQ=DAILY%' THEN 1
      WHEN rrule LIKE 'FREQ=WEEKLY%' THEN weekdays
      ELSE 31 END);
END $$;

COMMENT ON FUNCTION tsad.rule_can_match IS 'Whether a rule of a maintenance window has a day: not 31 February, nor the third day of one day. NULL has.';

REVOKE ALL ON FUNCTION tsad.rule_can_match FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.rule_can_match TO tsad_writer;
