-- A person's word on a range of an entity.
SELECT tsad.add_verdict(%(dataset)s, %(entity)s, %(start_at)s, %(end_at)s, %(verdict)s, %(said_by)s, %(note)s, %(channel)s)
