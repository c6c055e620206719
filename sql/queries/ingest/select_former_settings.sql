-- What some digests of settings are of.
SELECT digest, settings FROM tsad.read_settings WHERE dataset_id = %(dataset_id)s AND digest = ANY(%(digests)s::text[])
