-- Setpoints, loads and ambient conditions of a dataset that were outside of what training saw up to a moment.
SELECT entity, channel, started_at, ended_at FROM tsad.v_outside_experience
WHERE dataset = %(dataset)s AND lineage = 'live' AND ended_at >= %(from_at)s ORDER BY entity, channel
