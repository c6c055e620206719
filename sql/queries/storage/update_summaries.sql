-- Keeps summaries of blocks that had none and that nobody writes at this moment.
UPDATE tsad.reading_block b SET summary = f.summary
FROM (
  SELECT r.entity_id, r.hour_at, i.summary
  FROM tsad.reading_block r JOIN incoming_summary i USING (entity_id, hour_at)
  WHERE r.summary IS NULL AND r.layout_id = %(layout_id)s
  FOR UPDATE OF r SKIP LOCKED) f
WHERE b.entity_id = f.entity_id AND b.hour_at = f.hour_at
