-- Known anomalies; the same one again is no new one, and of what was taken back the source says nothing new.
INSERT INTO tsad.label_record (entity_id, start_at, end_at, kind, origin, note)
SELECT n.* FROM unnest(%(entity_id)s::int[], %(start_at)s::timestamptz[], %(end_at)s::timestamptz[], %(kind)s::text[],
  %(origin)s::text[], %(note)s::text[]) AS n (entity_id, start_at, end_at, kind, origin, note)
WHERE NOT EXISTS (
  SELECT FROM tsad.label_record w
  WHERE w.entity_id = n.entity_id AND w.origin = n.origin AND w.withdrawn_at IS NOT NULL
    AND w.start_at <= n.start_at AND w.end_at >= n.end_at)
ON CONFLICT DO NOTHING
