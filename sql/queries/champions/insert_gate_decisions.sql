-- Rules of the gate or of the shadow, their numbers and outcomes; a decision once made stays.
INSERT INTO tsad.gate_decision (model_id, rule, outcome, value, limit_value, champion_value, note, low, high, n, n_found, decides, stage, passed)
SELECT %(model_id)s, u.* FROM unnest(%(rule)s::text[], %(outcome)s::text[], %(value)s::float8[], %(limit_value)s::float8[],
  %(champion_value)s::float8[], %(note)s::text[], %(low)s::float8[], %(high)s::float8[], %(n)s::bigint[], %(n_found)s::bigint[],
  %(decides)s::boolean[], %(stage)s::text[], %(passed)s::boolean[]) AS u
ON CONFLICT DO NOTHING
