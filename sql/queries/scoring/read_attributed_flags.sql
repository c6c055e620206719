-- Flagged readings in ranges of entities, both ends included, with their leading channel (0: unknown), in any order, for binary COPY.
SELECT a.entity_id, a.at, a.score, a.error, a.kind = 'collective' AS is_collective,
       array_position(%(severities)s::text[], a.severity) AS severity, a.model_id, a.provisional,
       coalesce(t.channel_id, 0) AS channel_id, coalesce(t.share, 0) AS share,
       t.actual IS NOT NULL AND t.expected IS NOT NULL AS is_known, coalesce(t.actual, 0) AS actual, coalesce(t.expected, 0) AS expected,
       coalesce(t.spread, 0)::float8 AS spread
FROM unnest(%(entity_id)s::int[], %(first_at)s::timestamptz[], %(last_at)s::timestamptz[]) AS u(entity_id, first_at, last_at)
JOIN tsad.anomaly a ON a.entity_id = u.entity_id AND a.at >= u.first_at AND a.at <= u.last_at AND a.superseded_at = 'infinity'
JOIN tsad.champion_period p ON p.model_id = a.model_id AND p.lineage = %(lineage)s
  AND a.hour_at >= p.valid_from AND a.hour_at < p.valid_to
LEFT JOIN LATERAL (
  SELECT r.channel_id, r.share, r.actual, r.expected, r.spread FROM tsad.attribution r
  WHERE r.entity_id = a.entity_id AND r.at = a.at AND r.model_id = a.model_id
  ORDER BY r.share DESC, r.channel_id LIMIT 1) t ON true
