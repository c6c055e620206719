CREATE OR REPLACE FUNCTION tsad.check_words(what text, given text, most int) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF length(given) > most THEN
    RAISE EXCEPTION 'Expected a % of at most % characters. Received: %.', what, most, length(given) USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN coalesce(given, '');
END $$;

COMMENT ON FUNCTION tsad.check_words IS 'The words as they are, or nothing; refuses more than a person writes.';

REVOKE ALL ON FUNCTION tsad.check_words FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.check_words TO tsad_writer;
