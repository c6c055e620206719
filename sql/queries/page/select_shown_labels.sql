-- Known anomalies of a machine in a range.
SELECT label_id, start_at, end_at, kind, origin, note FROM tsad.v_label
WHERE dataset = %(dataset)s AND entity = %(entity)s AND withdrawn_at IS NULL AND start_at < %(to_at)s AND end_at > %(from_at)s ORDER BY start_at
