-- Hours that no model scored.
INSERT INTO tsad.unscored_hour (lineage, entity_id, hour_at, revision, status, detail, decided_at)
SELECT %(lineage)s, i.entity_id, i.hour_at,
       1 + coalesce(o.revision, 0), i.status, i.detail, greatest(%(decided_at)s, o.superseded_at)
FROM unnest(%(entity_id)s::int[], %(hour_at)s::timestamptz[], %(status)s::text[], %(detail)s::text[]) AS i(entity_id, hour_at, status, detail)
-- A revision never begins before the one that it follows has ended, though the clock was set back.
CROSS JOIN LATERAL (SELECT max(s.revision) AS revision, max(s.superseded_at) AS superseded_at FROM tsad.unscored_hour s
                    WHERE s.lineage = %(lineage)s AND s.entity_id = i.entity_id AND s.hour_at = i.hour_at) o
WHERE i.status IS NOT NULL AND NOT EXISTS (SELECT FROM tsad.unscored_hour u
  WHERE u.lineage = %(lineage)s AND u.entity_id = i.entity_id AND u.hour_at = i.hour_at AND u.superseded_at = 'infinity')
