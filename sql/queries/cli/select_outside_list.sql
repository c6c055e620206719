-- Each time that a condition of a dataset went outside of what training saw, newest first.
SELECT started_at, ended_at, entity, channel, n_hours
FROM tsad.v_outside_experience
WHERE dataset = %(dataset)s AND lineage = %(lineage)s AND started_at < %(end_at)s AND ended_at > %(start_at)s
ORDER BY started_at DESC, entity, channel
LIMIT %(n)s
