-- How far the readings and scores of a week lie from their reference; measured again, it is replaced.
INSERT INTO tsad.drift (lineage, model_id, entity_id, channel_id, week_at, psi, shift, missing_share, n_steps)
SELECT %(lineage)s, u.model_id, u.entity_id, u.channel_id, %(week_at)s::timestamptz, u.psi, u.shift, u.missing_share, u.n_steps
FROM unnest(%(model_id)s::int[], %(entity_id)s::int[], %(channel_id)s::int[], %(psi)s::float8[], %(shift)s::float8[],
  %(missing_share)s::float8[], %(n_steps)s::bigint[]) AS u (model_id, entity_id, channel_id, psi, shift, missing_share, n_steps)
ON CONFLICT (model_id, lineage, entity_id, channel_id, week_at) DO UPDATE
SET psi = EXCLUDED.psi, shift = EXCLUDED.shift, missing_share = EXCLUDED.missing_share, n_steps = EXCLUDED.n_steps, measured_at = clock_timestamp()
