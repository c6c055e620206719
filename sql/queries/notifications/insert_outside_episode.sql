-- A new episode outside of experience; gives its number and the name of its thread.
INSERT INTO tsad.outside_episode (dataset_id, channel_id, since_at)
SELECT c.dataset_id, c.channel_id, %(since_at)s::timestamptz
FROM tsad.channel c WHERE c.channel_id = %(channel_id)s
RETURNING episode_id, thread::text
