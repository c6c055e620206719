-- Models of a dataset, and the detector of each.
SELECT model_id, detector FROM tsad.model WHERE dataset_id = %(dataset_id)s
