-- What the series of one source are called, and from when to when; NULL: always.
SELECT series, entity, channel, scale, "offset", valid_from, valid_to
FROM tsad.series WHERE dataset_id = %(dataset_id)s AND source = %(source)s
