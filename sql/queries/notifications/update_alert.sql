-- What an alert stands for now.
UPDATE tsad.alert
SET start_at = %(start_at)s, end_at = %(end_at)s, severity = %(severity)s, state = %(state)s, closed_told = %(closed_told)s,
    incident_id = %(incident_id)s, sentence = %(sentence)s, channel = %(channel)s, taken_by = %(taken_by)s, updated_at = clock_timestamp()
WHERE alert_id = %(alert_id)s
