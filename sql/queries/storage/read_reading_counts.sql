-- How many readings each step was made from, where that is known, of blocks of one layout, for binary COPY.
SELECT entity_id, hour_at, n_values
FROM tsad.reading_block
WHERE entity_id = ANY(%(entity_ids)s::int[]) AND hour_at >= %(start_at)s AND hour_at < %(end_at)s AND layout_id = %(layout_id)s
  AND n_values IS NOT NULL
