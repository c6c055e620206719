-- All models of a dataset, newest first.
SELECT * FROM tsad.model WHERE dataset_id = %(dataset_id)s ORDER BY version DESC
