-- States of a folding model after one hour each.
SELECT s.entity_id, s.state
FROM unnest(%(entity_ids)s::int[], %(hours)s::timestamptz[]) AS wanted (entity_id, hour_at)
JOIN tsad.fold_state s USING (entity_id, hour_at)
WHERE s.model_id = %(model_id)s
