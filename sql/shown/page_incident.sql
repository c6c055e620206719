SELECT * FROM tsad.v_incident WHERE incident_id = '$incident_id';
SELECT at, score, channel, share, actual, expected, unit FROM tsad.v_anomaly
WHERE dataset = '$dataset' AND entity = '$entity' AND lineage = 'live' AND at BETWEEN '$started_at' AND '$last_flag_at' ORDER BY at;
SELECT at, error, threshold, score, flag, reason FROM tsad.scores('$dataset', '$entity', '$started_at', '$last_flag_at');
SELECT at, channel, value FROM tsad.readings('$dataset', '$entity', '$started_at', '$last_flag_at')
