-- Takes the incoming blocks; unchanged content writes nothing.
INSERT INTO tsad.reading_block AS b (entity_id, hour_at, layout_id, values, checksum)
SELECT entity_id, hour_at, layout_id, values, checksum FROM incoming_reading
ON CONFLICT (entity_id, hour_at) DO UPDATE
  SET layout_id = EXCLUDED.layout_id, values = EXCLUDED.values, checksum = EXCLUDED.checksum,
      revision = b.revision + 1, ingested_at = clock_timestamp()
  WHERE b.checksum <> EXCLUDED.checksum
