-- Incidents of a dataset that touch a range, newest first: those that count, or those that maintenance suppresses.
SELECT incident_id, entity, severity, kind, state, started_at, end_at, last_flag_at, n_flags, 1 + peak_score AS times_threshold, channel, sentence, verdict, suppressed_by, priority
FROM tsad.v_incident
WHERE dataset = %(dataset)s AND lineage = %(lineage)s AND last_flag_at >= %(start_at)s AND started_at < %(end_at)s
  AND (suppressed_by IS NOT NULL) = %(suppressed)s
ORDER BY started_at DESC LIMIT %(n)s
