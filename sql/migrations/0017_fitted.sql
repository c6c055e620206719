-- Machines need not carry the same sensors: since which hour an entity has a channel. What has no row is not fitted.
CREATE TABLE tsad.fitted_channel (
  entity_id     int NOT NULL,
  channel_id    int NOT NULL,
  first_hour_at timestamptz NOT NULL,
  PRIMARY KEY (entity_id, channel_id)
);
COMMENT ON TABLE tsad.fitted_channel IS 'Which channels an entity has, and since when: the hour of the first value that was ever read. Retention leaves it.';
COMMENT ON TABLE tsad.channel IS 'One sensor of a dataset; which entities have it is said by fitted_channel.';
GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.fitted_channel TO tsad_writer;

-- What was read so far. An hour in which the sensor was called dead has no value of it, and need not be opened.
INSERT INTO tsad.fitted_channel (entity_id, channel_id, first_hour_at)
SELECT e.entity_id, c.channel_id, f.hour_at
FROM tsad.entity e
JOIN tsad.channel c USING (dataset_id)
CROSS JOIN LATERAL (
  SELECT b.hour_at
  FROM tsad.reading_block b
  JOIN tsad.layout l ON l.layout_id = b.layout_id
  CROSS JOIN LATERAL (SELECT array_position(l.channel_ids, c.channel_id) AS place) p
  WHERE b.entity_id = e.entity_id AND p.place IS NOT NULL
    AND NOT EXISTS (
      SELECT FROM tsad.quality q
      WHERE q.entity_id = b.entity_id AND q.hour_at = b.hour_at AND q.channel_id = c.channel_id AND q.verdict = 'dead')
    AND EXISTS (SELECT FROM unnest(b.values[:][p.place:p.place]) AS v(value) WHERE v.value <> 'NaN')
  ORDER BY b.hour_at
  LIMIT 1) f;

-- Nothing can be dead before it was there.
DELETE FROM tsad.quality q
WHERE q.verdict = 'dead' AND NOT EXISTS (
  SELECT FROM tsad.fitted_channel f
  WHERE f.entity_id = q.entity_id AND f.channel_id = q.channel_id AND f.first_hour_at <= q.hour_at);
