-- Summaries of some hours, and whether they are known, of blocks of one layout, for binary COPY.
SELECT entity_id, hour_at, summary IS NOT NULL AS known,
       coalesce(summary, decode(repeat('00', %(n_bytes)s::int), 'hex')) AS summary
FROM tsad.reading_block
WHERE entity_id = ANY(%(entity_ids)s::int[]) AND hour_at = ANY(%(hours)s::timestamptz[]) AND layout_id = %(layout_id)s
