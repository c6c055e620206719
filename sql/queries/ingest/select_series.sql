-- What series of one source are called, and from when to when; NULL: always. Of those that are gone only what these series and entities need.
SELECT series, entity, channel, scale, "offset", valid_from, valid_to
FROM tsad.series
WHERE dataset_id = %(dataset_id)s AND source = %(source)s
  AND (valid_to IS NULL OR series = ANY(%(series)s::text[]) OR entity = ANY(%(entities)s::text[]))
