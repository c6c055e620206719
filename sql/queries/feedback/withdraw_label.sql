-- Takes back a known anomaly.
SELECT tsad.withdraw_label(%(label_id)s, %(withdrawn_by)s)
