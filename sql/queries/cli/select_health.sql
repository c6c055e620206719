-- Health of a dataset, or of all.
SELECT * FROM tsad.v_health WHERE coalesce(dataset = %(dataset)s, true) ORDER BY dataset
