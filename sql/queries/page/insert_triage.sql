-- Who has an incident in hand, and until when it is snoozed.
SELECT tsad.set_triage(%(incident_id)s, %(taken_by)s, %(snoozed_until)s, %(said_by)s)
