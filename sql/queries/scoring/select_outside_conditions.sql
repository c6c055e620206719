-- Conditions that were outside of what training saw in the hours of some incidents, which are numbered from 1.
SELECT u.n::int AS number, string_agg(DISTINCT c.name, ' and ' ORDER BY c.name) AS channels
FROM unnest(%(entity_id)s::int[], %(model_id)s::int[], %(first_at)s::timestamptz[], %(last_at)s::timestamptz[])
  WITH ORDINALITY AS u(entity_id, model_id, first_at, last_at, n)
JOIN tsad.score_block b ON b.entity_id = u.entity_id AND b.model_id = u.model_id AND b.outside IS NOT NULL
  AND b.superseded_at = 'infinity' AND b.hour_at > u.first_at - interval '1 hour' AND b.hour_at <= u.last_at
JOIN tsad.channel c ON c.channel_id = ANY(b.outside)
GROUP BY 1
