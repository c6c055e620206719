-- Closes, element by element, scored hours and their anomalies of which no readings are left, and clears the attributions.
WITH gone AS (
  UPDATE tsad.score_block b SET superseded_at = greatest(%(decided_at)s, b.scored_at)
  FROM unnest(%(model_id)s::int[], %(entity_id)s::int[], %(hour_at)s::timestamptz[]) AS g(model_id, entity_id, hour_at)
  WHERE b.entity_id = g.entity_id AND b.hour_at = g.hour_at AND b.model_id = g.model_id AND b.superseded_at = 'infinity'
    AND b.thresholds IS NOT NULL
  RETURNING b.entity_id, b.hour_at, b.model_id),
anomalies AS (
  UPDATE tsad.anomaly a SET superseded_at = greatest(%(decided_at)s, a.known_from)
  FROM gone g
  WHERE a.entity_id = g.entity_id AND a.hour_at = g.hour_at AND a.model_id = g.model_id AND a.superseded_at = 'infinity')
DELETE FROM tsad.attribution r USING gone g
WHERE r.entity_id = g.entity_id AND r.model_id = g.model_id AND r.at >= g.hour_at AND r.at < g.hour_at + interval '1 hour'
