-- The dataset that a known anomaly belongs to.
SELECT dataset FROM tsad.v_label WHERE label_id = %(label_id)s
