-- Forgets the names of some series, which are then noted anew.
DELETE FROM tsad.series WHERE dataset_id = %(dataset_id)s AND source = %(source)s AND series = ANY(%(series)s::text[])
