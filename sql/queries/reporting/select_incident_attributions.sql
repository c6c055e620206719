-- Shares, values and expectations of an entity's flagged readings in a range, with their scores.
SELECT a.at, a.score, c.name AS channel, r.share, r.actual, r.expected, r.spread
FROM tsad.anomaly a
JOIN tsad.champion_period p ON p.model_id = a.model_id AND p.lineage = %(lineage)s
  AND a.hour_at >= p.valid_from AND a.hour_at < p.valid_to
JOIN tsad.attribution r ON r.entity_id = a.entity_id AND r.at = a.at AND r.model_id = a.model_id
JOIN tsad.channel c USING (channel_id)
WHERE a.entity_id = %(entity_id)s AND a.superseded_at = 'infinity' AND a.at >= %(start_at)s AND a.at < %(end_at)s
ORDER BY a.at, r.share DESC, r.channel_id
