SELECT entity, channel, started_at, ended_at, n_hours FROM tsad.v_outside_experience WHERE dataset = '$dataset' AND lineage = 'live' ORDER BY started_at DESC
