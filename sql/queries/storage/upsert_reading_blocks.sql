-- Takes the incoming blocks; unchanged content writes nothing, and what only summaries see is no revision.
INSERT INTO tsad.reading_block AS b (entity_id, hour_at, layout_id, values, checksum, summary, n_values)
SELECT entity_id, hour_at, layout_id, values, checksum, summary, nullif(n_values, '') FROM incoming_reading
ON CONFLICT (entity_id, hour_at) DO UPDATE
  SET layout_id = EXCLUDED.layout_id, values = EXCLUDED.values, checksum = EXCLUDED.checksum,
      summary = EXCLUDED.summary, n_values = EXCLUDED.n_values,
      revision = b.revision + (b.checksum <> EXCLUDED.checksum)::int,
      ingested_at = CASE WHEN b.checksum <> EXCLUDED.checksum THEN clock_timestamp() ELSE b.ingested_at END
  WHERE b.checksum <> EXCLUDED.checksum OR b.n_values IS DISTINCT FROM EXCLUDED.n_values
