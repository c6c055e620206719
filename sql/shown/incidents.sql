SELECT * FROM tsad.v_incident WHERE dataset = '$dataset' AND lineage = 'live' ORDER BY started_at DESC
