-- All entities of a dataset, oldest first.
SELECT entity_id, name FROM tsad.entity WHERE dataset_id = %(dataset_id)s ORDER BY entity_id
