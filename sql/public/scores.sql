CREATE OR REPLACE FUNCTION tsad.scores(dataset text, entity text, from_at timestamptz, to_at timestamptz, lineage text DEFAULT 'live')
RETURNS TABLE (at timestamptz, error real, threshold real, score real, flag boolean, reason text, status text, model_id int, revision int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  -- What holds, whatever the server's clock says by now: it may have been set back since it was written.
  SELECT * FROM tsad.scores_as_known_at('9999-12-31 00:00Z', scores.dataset, scores.entity, from_at, to_at, scores.lineage)
$$;

COMMENT ON FUNCTION tsad.scores IS 'Scores of one entity in [from_at, to_at), a row per step; score is NULL where unknown, reason says why.';

REVOKE ALL ON FUNCTION tsad.scores FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.scores TO tsad_writer, tsad_reader;
