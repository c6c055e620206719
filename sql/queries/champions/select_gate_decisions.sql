-- The rules of one stage for one model.
SELECT rule, outcome, value, limit_value, champion_value, note, low, high, n, n_found, decides, stage FROM tsad.gate_decision
WHERE model_id = %(model_id)s AND stage = %(stage)s ORDER BY rule
