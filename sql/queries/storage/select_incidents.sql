-- Standing incidents of some entities that touch a range, and for how many steps their models' windows and moving averages hold a reading.
SELECT i.incident_id, i.entity_id, i.started_at, i.last_flag_at,
       greatest(coalesce((m.card ->> 'window')::int, 1) - 1, 0)
         + greatest(coalesce((m.card -> 'threshold' ->> 'collective_width')::int, 0) - 1, 0) AS memory_steps
FROM tsad.incident i JOIN tsad.model m USING (model_id)
WHERE i.lineage = %(lineage)s AND i.entity_id = ANY(%(entity_ids)s::int[]) AND i.superseded_by IS NULL AND i.withdrawn_at IS NULL
  AND i.last_flag_at >= %(start_at)s AND i.started_at < %(end_at)s
ORDER BY i.entity_id, i.started_at
