-- Takes back the gate's rules of a model that it refused, to be judged again.
DELETE FROM tsad.gate_decision g USING tsad.model m
WHERE g.model_id = %(model_id)s AND m.model_id = g.model_id AND g.stage = 'gate' AND m.gate_passed IS FALSE
