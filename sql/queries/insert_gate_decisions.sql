-- The gate's rules, numbers and outcomes; a decision once made stays.
INSERT INTO tsad.gate_decision (model_id, rule, value, limit_value, champion_value, passed, note)
SELECT %(model_id)s, u.* FROM unnest(%(rule)s::text[], %(value)s::float8[], %(limit_value)s::float8[], %(champion_value)s::float8[],
  %(passed)s::boolean[], %(note)s::text[]) AS u
ON CONFLICT DO NOTHING
