CREATE OR REPLACE FUNCTION tsad.compare_lineages(dataset text, lineage text, other text, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (entity text, hour_at timestamptz, version int, other_version int, n_paired int, n_agreed int, n_flags int, n_other_flags int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT e.name, c.hour_at, n.version, o.version, u.n_paired, u.n_agreed, u.n_flags, u.n_other_flags
  FROM tsad.dataset d
  JOIN tsad.champion_period h ON h.dataset_id = d.dataset_id AND h.lineage = compare_lineages.lineage
  JOIN tsad.score_block c ON c.model_id = h.model_id AND c.hour_at >= h.valid_from AND c.hour_at < h.valid_to
    AND c.superseded_at = 'infinity' AND c.thresholds IS NOT NULL AND c.hour_at >= from_at AND c.hour_at < to_at
  JOIN tsad.champion_period p ON p.lineage = other AND p.dataset_id = d.dataset_id
    AND c.hour_at >= p.valid_from AND c.hour_at < p.valid_to
  JOIN tsad.score_block b ON b.model_id = p.model_id AND b.entity_id = c.entity_id AND b.hour_at = c.hour_at
    AND b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL
  JOIN tsad.model n ON n.model_id = c.model_id
  JOIN tsad.model o ON o.model_id = b.model_id
  JOIN tsad.entity e ON e.entity_id = c.entity_id
  CROSS JOIN LATERAL tsad.step_agreement(c.scores, b.scores) AS u
  WHERE d.name = compare_lineages.dataset
  ORDER BY 1, 2
$$;

COMMENT ON FUNCTION tsad.compare_lineages IS 'Two lineages side by side, such as a what_if/<run> and live: a row per entity and hour that both have scored.';

REVOKE ALL ON FUNCTION tsad.compare_lineages FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.compare_lineages TO tsad_writer, tsad_reader;
