-- A lineage week by week from the start of a range: the last champion's version, hours scored, incidents, known anomalies.
WITH week AS (
  SELECT at AS start_at, least(at + interval '7 days', %(end_at)s) AS end_at
  FROM generate_series(%(start_at)s::timestamptz, %(end_at)s::timestamptz - interval '1 second', interval '7 days') AS at)
SELECT to_char(w.start_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS week, m.version, s.n AS entity_hours, i.n AS incidents,
       l.n AS labels, l.n_found AS labels_found
FROM week w
JOIN tsad.dataset d ON d.name = %(dataset)s
LEFT JOIN LATERAL (
  SELECT max(n.version) AS version FROM tsad.champion_period p JOIN tsad.model n USING (model_id)
  WHERE p.dataset_id = d.dataset_id AND p.lineage = %(lineage)s AND p.valid_from < w.end_at AND p.valid_to >= w.end_at) m ON true
LEFT JOIN LATERAL (
  SELECT count(*) AS n FROM tsad.v_status v
  WHERE v.dataset = d.name AND v.lineage = %(lineage)s AND v.hour_at >= w.start_at AND v.hour_at < w.end_at
    AND v.status IN ('scored', 'partial', 'unknown_entity_scale')) s ON true
LEFT JOIN LATERAL (
  SELECT count(*) AS n FROM tsad.v_incident v
  WHERE v.dataset = d.name AND v.lineage = %(lineage)s AND v.started_at >= w.start_at AND v.started_at < w.end_at
    AND v.suppressed_by IS NULL) i ON true
LEFT JOIN LATERAL (
  SELECT count(*) AS n, count(*) FILTER (WHERE EXISTS (
      SELECT FROM tsad.v_incident v
      WHERE v.dataset = d.name AND v.lineage = %(lineage)s AND v.entity = e.name
        AND v.started_at < x.end_at AND v.last_flag_at >= x.start_at)) AS n_found
  FROM tsad.label x JOIN tsad.entity e USING (entity_id)
  WHERE e.dataset_id = d.dataset_id AND x.start_at >= w.start_at AND x.start_at < w.end_at) l ON true
ORDER BY w.start_at
