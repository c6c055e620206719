-- Registers channels; a unit that changed is written.
INSERT INTO tsad.channel AS c (dataset_id, name, unit)
SELECT %(dataset_id)s, name, unit FROM unnest(%(names)s::text[], %(units)s::text[]) AS u(name, unit)
ON CONFLICT (dataset_id, name) DO UPDATE SET unit = EXCLUDED.unit WHERE c.unit IS DISTINCT FROM EXCLUDED.unit
