-- The model of an id.
SELECT m.*, d.name AS dataset FROM tsad.model m JOIN tsad.dataset d USING (dataset_id) WHERE m.model_id = %(model_id)s
