-- Notes how series were scaled so far that are scaled otherwise from now on.
INSERT INTO tsad.series_scale (dataset_id, source, series, entity, channel, measures)
SELECT %(dataset_id)s, u.source, u.series, u.entity, u.channel, u.measures::float8[]
FROM unnest(%(source)s::text[], %(series)s::text[], %(entity)s::text[], %(channel)s::text[], %(measures)s::text[])
  AS u(source, series, entity, channel, measures)
ON CONFLICT (dataset_id, source, series, entity, channel) DO NOTHING
