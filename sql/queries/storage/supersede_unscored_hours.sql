-- Closes unscored hours that are scored now, or unscored for another reason.
UPDATE tsad.unscored_hour u SET superseded_at = greatest(%(decided_at)s, u.decided_at)
FROM unnest(%(entity_id)s::int[], %(hour_at)s::timestamptz[], %(status)s::text[], %(detail)s::text[]) AS i(entity_id, hour_at, status, detail)
WHERE u.lineage = %(lineage)s AND u.entity_id = i.entity_id AND u.hour_at = i.hour_at AND u.superseded_at = 'infinity'
  AND (u.status, u.detail) IS DISTINCT FROM (i.status, i.detail)
