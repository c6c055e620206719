-- All entities of a dataset, oldest first.
SELECT name, entity_id FROM tsad.entity WHERE dataset_id = %(dataset_id)s ORDER BY entity_id
