-- Takes back the verdict on an incident that counts.
SELECT tsad.withdraw_verdict(%(incident_id)s)
