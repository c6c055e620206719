-- Verdicts on sensors.
INSERT INTO tsad.quality (entity_id, hour_at, channel_id, verdict, n_steps, detail)
SELECT * FROM unnest(%(entity_id)s::int[], %(hour_at)s::timestamptz[], %(channel_id)s::int[], %(verdict)s::text[],
  %(n_steps)s::int[], %(detail)s::text[])
