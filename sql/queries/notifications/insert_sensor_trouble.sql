-- A new message about sensors out of order; gives its number and the name of its thread.
INSERT INTO tsad.sensor_trouble (dataset_id)
SELECT d.dataset_id FROM tsad.dataset d WHERE d.dataset_id = %(dataset_id)s
RETURNING trouble_id, thread::text
