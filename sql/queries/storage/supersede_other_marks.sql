-- Closes marks of hours that a run looked at and found nothing to be scored in: they have a score by now, or the entity is silent there.
UPDATE tsad.unscored_hour u SET superseded_at = greatest(%(decided_at)s, u.decided_at)
FROM tsad.entity e
WHERE e.dataset_id = %(dataset_id)s AND u.entity_id = e.entity_id AND u.lineage = %(lineage)s AND u.hour_at = ANY(%(hours)s::timestamptz[])
  AND u.superseded_at = 'infinity' AND NOT u.entity_id = ANY(%(others)s::int[])
  AND NOT EXISTS (
    SELECT FROM unnest(%(entity_id)s::int[], %(hour_at)s::timestamptz[]) AS k(entity_id, hour_at)
    WHERE k.entity_id = u.entity_id AND k.hour_at = u.hour_at)
