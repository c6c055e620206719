-- What a version had to meet, at the gate and in the shadow.
SELECT stage, rule, outcome, value, limit_value, champion_value, note, low, high, n, n_found, decides
FROM tsad.v_model_decision WHERE dataset = %(dataset)s AND version = %(version)s ORDER BY stage, rule
