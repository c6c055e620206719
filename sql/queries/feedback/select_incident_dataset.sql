-- The dataset that an incident belongs to, whether it still stands or not.
SELECT d.name
FROM tsad.incident i JOIN tsad.entity e USING (entity_id) JOIN tsad.dataset d USING (dataset_id)
WHERE i.incident_id = %(incident_id)s
