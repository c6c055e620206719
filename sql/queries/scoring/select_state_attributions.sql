-- What is stored of a discrete channel (shares, changes) at an entity's flagged readings, both ends included, as far as they are known.
SELECT r.entity_id, r.at, r.channel_id, c.name, c.unit, r.share, r.actual, r.expected, r.spread
FROM tsad.anomaly a
JOIN tsad.champion_period p ON p.model_id = a.model_id AND p.lineage = %(lineage)s
  AND a.hour_at >= p.valid_from AND a.hour_at < p.valid_to
JOIN tsad.attribution r ON r.entity_id = a.entity_id AND r.at = a.at AND r.model_id = a.model_id
JOIN tsad.channel c USING (channel_id)
WHERE a.entity_id = %(entity_id)s AND a.superseded_at = 'infinity' AND a.at >= %(first_at)s AND a.at <= %(last_at)s
  AND c.name = ANY(%(names)s) AND r.actual <> 'NaN' AND r.expected <> 'NaN'
ORDER BY a.at, r.channel_id
