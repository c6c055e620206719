-- Incidents that touch a range, of a lineage and of what people see.
SELECT (count(*) FILTER (WHERE i.lineage = %(lineage)s))::int AS n_incidents,
       (count(*) FILTER (WHERE i.lineage = 'live'))::int AS n_live_incidents
FROM tsad.incident i
JOIN tsad.entity e USING (entity_id)
JOIN tsad.dataset d USING (dataset_id)
WHERE d.name = %(dataset)s AND i.lineage IN (%(lineage)s, 'live')
  AND i.last_flag_at >= %(start_at)s AND i.started_at < %(end_at)s AND i.superseded_by IS NULL AND i.withdrawn_at IS NULL
