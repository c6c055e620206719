-- Hours that no model scored.
INSERT INTO tsad.unscored_hour (lineage, entity_id, hour_at, revision, status, detail, decided_at)
SELECT %(lineage)s, i.entity_id, i.hour_at,
       1 + coalesce((SELECT max(o.revision) FROM tsad.unscored_hour o
                     WHERE o.lineage = %(lineage)s AND o.entity_id = i.entity_id AND o.hour_at = i.hour_at), 0),
       i.status, i.detail, %(decided_at)s
FROM unnest(%(entity_id)s::int[], %(hour_at)s::timestamptz[], %(status)s::text[], %(detail)s::text[]) AS i(entity_id, hour_at, status, detail)
WHERE i.status IS NOT NULL AND NOT EXISTS (SELECT FROM tsad.unscored_hour u
  WHERE u.lineage = %(lineage)s AND u.entity_id = i.entity_id AND u.hour_at = i.hour_at AND u.superseded_at = 'infinity')
