CREATE OR REPLACE FUNCTION tsad.scores_as_known_at(known_at timestamptz, dataset text, entity text, from_at timestamptz, to_at timestamptz, lineage text DEFAULT 'live')
RETURNS TABLE (at timestamptz, error real, threshold real, score real, flag boolean, reason text, status text, model_id int, revision int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT b.hour_at + make_interval(secs => (u.i - 1)::int * (3600 / cardinality(b.reasons))), u.error, u.threshold, u.score, u.score > 0, r.name, b.status, b.model_id, b.revision
  FROM tsad.dataset d
  JOIN tsad.entity e ON e.dataset_id = d.dataset_id AND e.name = scores_as_known_at.entity
  JOIN tsad.score_block b ON b.entity_id = e.entity_id
    AND b.hour_at >= date_trunc('hour', from_at, 'UTC') AND b.hour_at < to_at
    AND b.scored_at <= known_at AND b.superseded_at > known_at AND b.thresholds IS NOT NULL
  JOIN tsad.champion_record p ON p.model_id = b.model_id AND p.lineage = scores_as_known_at.lineage
    AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to AND p.recorded_at <= known_at AND p.replaced_at > known_at
  CROSS JOIN LATERAL unnest(b.errors, b.thresholds, b.scores, b.reasons) WITH ORDINALITY AS u(error, threshold, score, reason, i)
  JOIN tsad.reason r ON r.reason = u.reason
  WHERE d.name = scores_as_known_at.dataset
    AND b.hour_at + make_interval(secs => (u.i - 1)::int * (3600 / cardinality(b.reasons))) >= from_at
    AND b.hour_at + make_interval(secs => (u.i - 1)::int * (3600 / cardinality(b.reasons))) < to_at
  ORDER BY 1
$$;

COMMENT ON FUNCTION tsad.scores_as_known_at IS 'What an operator saw at known_at: the revisions and champions of that moment.';

REVOKE ALL ON FUNCTION tsad.scores_as_known_at FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.scores_as_known_at TO tsad_writer, tsad_reader;
