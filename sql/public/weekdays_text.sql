CREATE OR REPLACE FUNCTION tsad.weekdays_text(seen int[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT concat(string_agg(n.name, ', ' ORDER BY n.day) FILTER (WHERE seen[n.day] < 3), ' unknown',
                ' (' || string_agg(n.name, ', ' ORDER BY n.day) FILTER (WHERE seen[n.day] = 0) || ' never seen)')
  FROM unnest(ARRAY['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']) WITH ORDINALITY AS n (name, day)
  HAVING bool_or(seen[n.day] < 3)
$$;

COMMENT ON FUNCTION tsad.weekdays_text IS 'Weekdays, Monday first, that were seen fewer than three times, in words; NULL: none.';

-- A computation on its arguments alone. PUBLIC may run it: a view asks it with the rights of whoever reads the view.
GRANT EXECUTE ON FUNCTION tsad.weekdays_text TO PUBLIC;
