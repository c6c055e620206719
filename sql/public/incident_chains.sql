CREATE OR REPLACE FUNCTION tsad.incident_chains(of_datasets text[], of_lineage text, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (incident_id text, entity_id int, dataset text, entity text, severity text, priority int, state text, started_at timestamptz, last_flag_at timestamptz,
               peak_score real, sentence text, verdict text, suppressed boolean, held boolean, group_id text, snoozed_until timestamptz)
-- In the language sql, so that a statement pays for no column that it does not ask for. Rows together, and not one by one as v_incident_chain.
-- OFFSET 0: looked up by the index, whatever number of rows is expected.
LANGUAGE sql STABLE ROWS 2000 AS $$
  WITH RECURSIVE machine AS MATERIALIZED (
    SELECT e.entity_id, d.name AS dataset, e.name AS entity, make_interval(secs => d.merge_gap_s) - interval '1 hour' AS gap,
           array_position(ARRAY['low', 'normal', 'high'], e.criticality) - 2 AS more, b.hour_at AS scored_at
    FROM tsad.entity e
    JOIN tsad.dataset d USING (dataset_id)
    -- The newest hour with a score: one search a machine, not one an incident. None before the span closes what ended in it.
    LEFT JOIN LATERAL (
      SELECT b.hour_at FROM tsad.score_block b
      WHERE b.entity_id = e.entity_id AND b.superseded_at = 'infinity' AND b.status IN ('scored', 'partial', 'unknown_entity_scale')
        AND b.thresholds IS NOT NULL AND b.hour_at > from_at - interval '1 hour'
      ORDER BY b.hour_at DESC LIMIT 1) b ON true
    WHERE d.name = ANY(of_datasets)),
  back AS (
    SELECT i.incident_id, i.continues FROM tsad.incident i
    WHERE i.superseded_by IS NULL AND i.withdrawn_at IS NULL AND i.lineage = of_lineage AND i.last_flag_at >= from_at AND i.started_at < to_at
      AND (i.started_at < from_at OR i.continues IS NOT NULL)
    UNION
    SELECT f.incident_id, f.continues FROM back b
    CROSS JOIN LATERAL (
      SELECT x.incident_id, x.continues FROM tsad.incident x
      WHERE x.incident_id = b.continues AND x.superseded_by IS NULL AND x.withdrawn_at IS NULL OFFSET 0) f),
  first AS MATERIALIZED (
    SELECT i.* FROM tsad.incident i
    WHERE i.superseded_by IS NULL AND i.withdrawn_at IS NULL AND i.lineage = of_lineage AND i.started_at >= from_at AND i.started_at < to_at
      AND (i.continues IS NULL OR NOT EXISTS (
        SELECT FROM tsad.incident f WHERE f.incident_id = i.continues AND f.superseded_by IS NULL AND f.withdrawn_at IS NULL OFFSET 0))
    UNION ALL
    SELECT i.* FROM back b CROSS JOIN LATERAL (SELECT * FROM tsad.incident x WHERE x.incident_id = b.incident_id OFFSET 0) i
    WHERE i.started_at < from_at AND (i.continues IS NULL OR NOT EXISTS (
      SELECT FROM tsad.incident f WHERE f.incident_id = i.continues AND f.superseded_by IS NULL AND f.withdrawn_at IS NULL OFFSET 0))),
  part AS (
    SELECT f.incident_id AS first_id, n.incident_id, n.last_flag_at, n.severity, n.peak_score
    FROM first f JOIN tsad.incident n ON n.continues = f.incident_id WHERE n.superseded_by IS NULL AND n.withdrawn_at IS NULL
    UNION ALL
    SELECT p.first_id, n.incident_id, n.last_flag_at, n.severity, n.peak_score
    FROM part p JOIN tsad.incident n ON n.continues = p.incident_id WHERE n.superseded_by IS NULL AND n.withdrawn_at IS NULL),
  later AS MATERIALIZED (
    SELECT p.first_id, max(p.last_flag_at) AS last_flag_at, max(p.peak_score) AS peak_score,
           min(array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], p.severity)) AS rank
    FROM part p GROUP BY p.first_id),
  -- Materialized, so that a filter on what somebody said, of which nobody knows how many pass, does not choose how these are joined.
  chain AS MATERIALIZED (
    SELECT f.incident_id, f.entity_id, m.dataset, m.entity, m.more, m.gap, m.scored_at, f.top_channel_id, f.started_at,
           least(l.rank, array_position(ARRAY['HIGH', 'MEDIUM', 'LOW'], f.severity)) AS rank, f.last_flag_at AS first_ended_at,
           coalesce(l.last_flag_at, f.last_flag_at) AS last_flag_at, greatest(f.peak_score, l.peak_score) AS peak_score, f.sentence,
           f.suppressed_by IS NOT NULL AS suppressed, coalesce(f.held, false) AS held, f.group_id
    FROM first f JOIN machine m USING (entity_id) LEFT JOIN later l ON l.first_id = f.incident_id)
  SELECT c.incident_id, c.entity_id, c.dataset, c.entity, (ARRAY['HIGH', 'MEDIUM', 'LOW'])[c.rank],
         c.rank + 1 - greatest(-1, least(1, c.more + coalesce(array_position(ARRAY['low', 'normal', 'high'],
           (SELECT o.criticality FROM tsad.channel o WHERE o.channel_id = c.top_channel_id)) - 2, 0))),
         CASE WHEN c.scored_at > c.last_flag_at + c.gap THEN 'closed' ELSE 'open' END,
         c.started_at, c.last_flag_at, c.peak_score, c.sentence,
         (SELECT v.verdict FROM tsad.verdict v
          WHERE v.entity_id = c.entity_id AND v.withdrawn_at IS NULL AND v.start_at <= c.first_ended_at AND v.end_at > c.started_at
          ORDER BY v.verdict_id DESC LIMIT 1),
         c.suppressed, c.held, c.group_id,
         (SELECT x.snoozed_until FROM tsad.triage x
          WHERE x.entity_id = c.entity_id AND x.start_at <= c.last_flag_at AND x.end_at > c.started_at
          ORDER BY x.triage_id DESC LIMIT 1)
  FROM chain c
$$;

COMMENT ON FUNCTION tsad.incident_chains(text[], text, timestamptz, timestamptz) IS 'The rows of v_incident_chain that touch a span of time, found by it; what else there is to know of one says the view.';

-- It runs with the rights of who asks: the pipeline, and the page under an operator's login, whom v_verdict and v_triage show the same.
REVOKE EXECUTE ON FUNCTION tsad.incident_chains FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tsad.incident_chains TO tsad_writer, tsad_operator;
GRANT SELECT ON tsad.verdict, tsad.triage, tsad.incident_group TO tsad_operator;
