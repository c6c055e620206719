-- What champions and challengers of a lineage did in a week, by labels and verdicts as they are now.
WITH held AS (
  SELECT p.lineage, p.model_id, p.scope_entity_id, greatest(p.valid_from, %(start_at)s) AS from_at, least(p.valid_to, %(end_at)s) AS to_at
  FROM tsad.champion_period p
  WHERE p.dataset_id = %(dataset_id)s AND p.lineage IN (%(lineage)s, %(lineage)s || '/shadow')
    AND p.valid_from < %(end_at)s AND p.valid_to > %(start_at)s),
incident AS (
  SELECT h.lineage, h.model_id, i.incident_id, i.entity_id, i.started_at, i.last_flag_at
  FROM held h
  JOIN tsad.entity e ON e.dataset_id = %(dataset_id)s AND h.scope_entity_id IN (0, e.entity_id)
  JOIN tsad.incident i ON i.entity_id = e.entity_id AND i.lineage = h.lineage AND i.started_at >= h.from_at AND i.started_at < h.to_at
  WHERE i.superseded_by IS NULL AND i.withdrawn_at IS NULL AND i.suppressed_by IS NULL),
anomaly AS (
  SELECT l.entity_id, l.start_at, l.end_at FROM tsad.label l JOIN tsad.entity e USING (entity_id) WHERE e.dataset_id = %(dataset_id)s
  UNION
  SELECT v.entity_id, v.start_at, v.end_at FROM tsad.verdict v JOIN tsad.entity e USING (entity_id)
  WHERE e.dataset_id = %(dataset_id)s AND v.verdict = 'confirmed' AND v.withdrawn_at IS NULL
    AND NOT EXISTS (SELECT FROM tsad.label l WHERE l.entity_id = v.entity_id AND l.start_at < v.end_at AND l.end_at > v.start_at)
    AND NOT EXISTS (SELECT FROM tsad.verdict w WHERE w.entity_id = v.entity_id AND w.withdrawn_at IS NULL
      AND w.verdict_id > v.verdict_id AND w.start_at < v.end_at AND w.end_at > v.start_at)),
known AS (
  SELECT h.lineage, h.model_id, extract(epoch FROM f.started_at - a.start_at) AS delay_s
  FROM held h
  JOIN anomaly a ON a.start_at >= h.from_at AND a.start_at < h.to_at AND h.scope_entity_id IN (0, a.entity_id)
  LEFT JOIN LATERAL (
    SELECT min(i.started_at) AS started_at FROM incident i
    WHERE i.lineage = h.lineage AND i.model_id = h.model_id AND i.entity_id = a.entity_id AND i.started_at < a.end_at
      AND i.last_flag_at >= a.start_at) f ON true),
judged AS (
  SELECT i.lineage, i.model_id,
         EXISTS (SELECT FROM anomaly a WHERE a.entity_id = i.entity_id AND a.start_at <= i.last_flag_at AND a.end_at > i.started_at) AS is_right,
         (SELECT v.verdict FROM tsad.verdict v
          WHERE v.entity_id = i.entity_id AND v.withdrawn_at IS NULL AND v.start_at <= i.last_flag_at AND v.end_at > i.started_at
          ORDER BY v.verdict_id DESC LIMIT 1) IN ('false_alarm', 'expected', 'new_normal') AS is_wrong
  FROM incident i),
scored AS (
  SELECT h.lineage, h.model_id, count(DISTINCT b.hour_at) / 24.0 AS days
  FROM held h
  LEFT JOIN tsad.score_block b ON b.model_id = h.model_id AND b.hour_at >= h.from_at AND b.hour_at < h.to_at
    AND b.hour_at >= %(start_at)s AND b.hour_at < %(end_at)s AND b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL
  GROUP BY h.lineage, h.model_id)
INSERT INTO tsad.audit (lineage, model_id, week_at, days, n_known, n_found, n_incidents, n_right, n_wrong, median_delay_s, expected_incidents_per_day)
SELECT s.lineage, s.model_id, %(start_at)s, s.days, k.n_known, k.n_found, j.n_incidents, j.n_right, j.n_wrong, k.median_delay_s,
       (m.card ->> 'expected_incidents_per_day')::float8
FROM scored s
JOIN tsad.model m USING (model_id)
CROSS JOIN LATERAL (
  SELECT count(*)::int AS n_known, count(o.delay_s)::int AS n_found, percentile_cont(0.5) WITHIN GROUP (ORDER BY o.delay_s) AS median_delay_s
  FROM known o WHERE o.lineage = s.lineage AND o.model_id = s.model_id) k
CROSS JOIN LATERAL (
  SELECT count(*)::int AS n_incidents, (count(*) FILTER (WHERE o.is_right))::int AS n_right,
         (count(*) FILTER (WHERE o.is_wrong AND NOT o.is_right))::int AS n_wrong
  FROM judged o WHERE o.lineage = s.lineage AND o.model_id = s.model_id) j
ON CONFLICT (model_id, lineage, week_at) DO UPDATE
SET days = EXCLUDED.days, n_known = EXCLUDED.n_known, n_found = EXCLUDED.n_found, n_incidents = EXCLUDED.n_incidents,
    n_right = EXCLUDED.n_right, n_wrong = EXCLUDED.n_wrong, median_delay_s = EXCLUDED.median_delay_s,
    expected_incidents_per_day = EXCLUDED.expected_incidents_per_day, audited_at = clock_timestamp()
