-- Tells which channels of some entities began more than a day after the entity itself, each at the hour of its first value.
WITH told AS (
  SELECT e.dataset_id, e.name AS entity, c.name AS channel, f.first_hour_at,
         min(f.first_hour_at) OVER (PARTITION BY f.entity_id) + interval '1 day' < f.first_hour_at AS is_new
  FROM tsad.fitted_channel f
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.channel c USING (channel_id)
  WHERE f.entity_id = ANY(%(entity_ids)s::int[])
), gone AS (
  DELETE FROM tsad.ingest_issue i USING told t
  WHERE i.issue = 'new_channel' AND (i.dataset_id, i.entity, i.channel) = (t.dataset_id, t.entity, t.channel)
    AND NOT (t.is_new AND t.first_hour_at = i.hour_at)
)
INSERT INTO tsad.ingest_issue (dataset_id, hour_at, entity, channel, issue, n_rows, detail)
SELECT dataset_id, first_hour_at, entity, channel, 'new_channel', 1, 'not seen before; it counts from the next training on'
FROM told
WHERE is_new
ON CONFLICT DO NOTHING
