-- A new message about sensors out of order; gives its number and the name of its thread.
INSERT INTO tsad.sensor_trouble (dataset_id) VALUES (%(dataset_id)s::int)
RETURNING trouble_id, thread::text
