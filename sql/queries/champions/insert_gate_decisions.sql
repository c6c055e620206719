-- Rules of the gate or of the shadow, their numbers and outcomes; a decision once made stays.
INSERT INTO tsad.gate_decision (model_id, stage, rule, value, limit_value, champion_value, passed, note, low, high)
SELECT %(model_id)s, %(stage)s, u.* FROM unnest(%(rule)s::text[], %(value)s::float8[], %(limit_value)s::float8[],
  %(champion_value)s::float8[], %(passed)s::boolean[], %(note)s::text[], %(low)s::float8[], %(high)s::float8[]) AS u
ON CONFLICT DO NOTHING
