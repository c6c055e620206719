-- Known anomalies of a dataset for people, newest first.
SELECT label_id, entity, start_at, end_at, kind, origin, note, withdrawn_by, withdrawn_at
FROM tsad.v_label WHERE dataset = %(dataset)s ORDER BY start_at DESC, label_id DESC
