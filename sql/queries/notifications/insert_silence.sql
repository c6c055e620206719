-- A new silence; gives its number and the name of its thread.
INSERT INTO tsad.silence (dataset_id, carrier, is_whole, since_at)
VALUES (%(dataset_id)s, %(carrier)s, %(is_whole)s, %(since_at)s)
RETURNING silence_id, thread::text
