-- Entities of a dataset that are gone for good.
SELECT entity FROM tsad.v_entity WHERE dataset = %(dataset)s AND state = 'retired'
