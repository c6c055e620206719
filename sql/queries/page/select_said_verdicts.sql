-- Everything that people said of a machine in a range, the newest first.
SELECT verdict_id, verdict, channel, said_by, said_at, note, withdrawn_at, incident_id FROM tsad.v_verdict
WHERE dataset = %(dataset)s AND entity = %(entity)s AND start_at <= %(to_at)s AND end_at > %(from_at)s ORDER BY verdict_id DESC
