-- Known anomalies of a dataset that touch a range.
SELECT l.entity_id, l.start_at, l.end_at, l.kind, l.origin, l.note
FROM tsad.label l JOIN tsad.entity e USING (entity_id)
WHERE e.dataset_id = %(dataset_id)s AND l.end_at > %(start_at)s AND l.start_at < %(end_at)s ORDER BY 1, 2
