-- A new layout; the same one again is no new one.
INSERT INTO tsad.layout (dataset_id, step_s, channel_ids) VALUES (%(dataset_id)s, %(step_s)s, %(channel_ids)s)
ON CONFLICT DO NOTHING
