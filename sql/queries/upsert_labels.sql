-- Known anomalies; the same one again is no new one.
INSERT INTO tsad.label (entity_id, start_at, end_at, kind, origin, note)
SELECT * FROM unnest(%(entity_id)s::int[], %(start_at)s::timestamptz[], %(end_at)s::timestamptz[], %(kind)s::text[],
  %(origin)s::text[], %(note)s::text[])
ON CONFLICT DO NOTHING
