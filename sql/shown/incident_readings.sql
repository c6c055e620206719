SELECT s.at, s.error, s.threshold, s.score, s.flag, s.reason, r.channel, r.value
FROM tsad.v_incident_chain i
CROSS JOIN LATERAL tsad.scores(i.dataset, i.entity, i.started_at, i.last_flag_at + interval '1 second', i.lineage) s
LEFT JOIN LATERAL tsad.readings(i.dataset, i.entity, i.started_at, i.last_flag_at + interval '1 second') r ON r.at = s.at
WHERE i.incident_id = '$incident' ORDER BY s.at, r.channel
