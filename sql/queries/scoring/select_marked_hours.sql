-- Hours of a range of which a mark says, of any entity, that no model was champion.
SELECT DISTINCT u.hour_at
FROM tsad.unscored_hour u JOIN tsad.entity e USING (entity_id)
WHERE e.dataset_id = %(dataset_id)s AND u.lineage = %(lineage)s AND u.hour_at >= %(start_at)s AND u.hour_at < %(end_at)s
  AND u.status = 'no_champion' AND u.superseded_at = 'infinity'
ORDER BY u.hour_at
