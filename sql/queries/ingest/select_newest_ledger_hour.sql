-- How far a dataset has been read from its source.
SELECT max(h.read_until) AS read_until FROM tsad.ingest_hour h JOIN tsad.dataset d USING (dataset_id) WHERE d.name = %(dataset)s
