-- The newest episode outside of experience of a channel.
SELECT episode_id, thread::text
FROM tsad.outside_episode
WHERE channel_id = %(channel_id)s
ORDER BY since_at DESC, episode_id DESC
LIMIT 1
