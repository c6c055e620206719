-- A new silence; gives its number and the name of its thread.
INSERT INTO tsad.silence (dataset_id, carrier, is_whole, since_at)
SELECT d.dataset_id, %(carrier)s, %(is_whole)s::boolean, %(since_at)s::timestamptz
FROM tsad.dataset d WHERE d.dataset_id = %(dataset_id)s
RETURNING silence_id, thread::text
