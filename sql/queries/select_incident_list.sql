-- Incidents of a dataset that touch a range, newest first.
SELECT incident_id, entity, severity, kind, state, started_at, last_flag_at, n_flags, peak_score, channel, sentence, verdict, suppressed_by
FROM tsad.v_incident
WHERE dataset = %(dataset)s AND lineage = %(lineage)s AND last_flag_at >= %(start_at)s AND started_at < %(end_at)s
ORDER BY started_at DESC LIMIT %(n)s
