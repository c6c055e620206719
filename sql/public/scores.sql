CREATE OR REPLACE FUNCTION tsad.scores(dataset text, entity text, from_at timestamptz, to_at timestamptz, lineage text DEFAULT 'live')
RETURNS TABLE (at timestamptz, error real, threshold real, score real, flag boolean, reason text, status text, model_id int, revision int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT * FROM tsad.scores_as_known_at(clock_timestamp(), scores.dataset, scores.entity, from_at, to_at, scores.lineage)
$$;

COMMENT ON FUNCTION tsad.scores IS 'Scores of one entity in [from_at, to_at), a row per step; score is NULL where unknown, reason says why.';

REVOKE ALL ON FUNCTION tsad.scores FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.scores TO tsad_writer, tsad_reader;
