-- First flags of incidents of a dataset that stand and continue no other one, in a range of time.
SELECT e.name AS entity, i.incident_id, i.started_at, i.top_channel_id, i.moved
FROM tsad.incident i JOIN tsad.entity e USING (entity_id)
WHERE e.dataset_id = %(dataset_id)s AND i.lineage = %(lineage)s AND i.superseded_by IS NULL AND i.withdrawn_at IS NULL
  AND i.continues IS NULL AND i.started_at >= %(start_at)s AND i.started_at < %(end_at)s
