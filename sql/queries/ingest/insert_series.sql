-- Notes what series are called from when to when.
INSERT INTO tsad.series (dataset_id, source, series, entity, channel, scale, "offset", valid_from, valid_to)
SELECT %(dataset_id)s, %(source)s, u.* FROM unnest(%(series)s::text[], %(entity)s::text[], %(channel)s::text[], %(scale)s::float8[],
  %(offset)s::float8[], %(valid_from)s::timestamptz[], %(valid_to)s::timestamptz[]) AS u
