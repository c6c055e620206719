-- Commissioning references; what has one keeps it.
INSERT INTO tsad.commissioning_reference (lineage, entity_id, channel_id, median, spread, from_at, to_at, model_id, verdict_id, meaning)
SELECT %(lineage)s, u.entity_id, u.channel_id, u.median, u.spread, u.from_at, u.to_at, %(model_id)s, u.verdict_id, u.meaning
FROM unnest(%(entity_id)s::int[], %(channel_id)s::int[], %(median)s::float8[], %(spread)s::float8[], %(from_at)s::timestamptz[],
  %(to_at)s::timestamptz[], %(verdict_id)s::bigint[], %(meaning)s::text[])
  AS u(entity_id, channel_id, median, spread, from_at, to_at, verdict_id, meaning)
ON CONFLICT (lineage, entity_id, channel_id) WHERE replaced_at = 'infinity' DO NOTHING
