-- A person's word on an incident.
SELECT tsad.set_verdict(%(incident_id)s, %(verdict)s, %(said_by)s, %(note)s, %(channel)s)
