-- Registers entities that are not there yet.
INSERT INTO tsad.entity (dataset_id, name)
SELECT %(dataset_id)s, name FROM unnest(%(names)s::text[]) AS u(name)
ON CONFLICT DO NOTHING
