-- Registers channels of the file; a unit that changed is written, and since when others are no longer in the file.
WITH gone AS (
  UPDATE tsad.channel SET removed_at = now()
  WHERE dataset_id = %(dataset_id)s AND removed_at IS NULL AND name <> ALL(%(names)s::text[]))
INSERT INTO tsad.channel AS c (dataset_id, name, unit)
SELECT %(dataset_id)s, name, unit FROM unnest(%(names)s::text[], %(units)s::text[]) AS u(name, unit)
ON CONFLICT (dataset_id, name) DO UPDATE SET unit = EXCLUDED.unit, removed_at = NULL
  WHERE c.unit IS DISTINCT FROM EXCLUDED.unit OR c.removed_at IS NOT NULL
