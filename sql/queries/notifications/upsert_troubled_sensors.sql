-- Sensors of messages, and up to when they have been out of order.
INSERT INTO tsad.troubled_sensor AS t (trouble_id, entity_id, channel_id, since_at, until_at)
SELECT * FROM unnest(%(trouble_id)s::bigint[], %(entity_id)s::int[], %(channel_id)s::int[], %(since_at)s::timestamptz[], %(until_at)s::timestamptz[])
ON CONFLICT (trouble_id, entity_id, channel_id) DO UPDATE SET until_at = EXCLUDED.until_at WHERE t.until_at < EXCLUDED.until_at
