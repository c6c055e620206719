-- Channels but some at a flagged reading, the largest share first.
SELECT r.entity_id, r.at, r.channel_id, c.name, c.unit, r.share, r.actual, r.expected, r.spread
FROM tsad.attribution r
JOIN tsad.channel c USING (channel_id)
WHERE r.entity_id = %(entity_id)s AND r.at = %(at)s AND r.model_id = %(model_id)s AND c.name <> ALL(%(names)s)
ORDER BY r.share DESC, r.channel_id
