-- Blocks of readings of one layout, for binary COPY.
SELECT entity_id, hour_at, checksum, values
FROM tsad.reading_block
WHERE entity_id = ANY(%(entity_ids)s::int[]) AND hour_at >= %(start_at)s AND hour_at < %(end_at)s AND layout_id = %(layout_id)s
