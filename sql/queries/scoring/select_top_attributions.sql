-- The channel with the largest share at some flagged readings.
SELECT DISTINCT ON (r.entity_id, r.at) r.entity_id, r.at, r.channel_id, c.name, c.unit, r.share, r.actual, r.expected, r.spread
FROM unnest(%(entity_id)s::int[], %(at)s::timestamptz[], %(model_id)s::int[]) AS i(entity_id, at, model_id)
JOIN tsad.attribution r USING (entity_id, at, model_id)
JOIN tsad.channel c USING (channel_id)
ORDER BY r.entity_id, r.at, r.share DESC, r.channel_id
