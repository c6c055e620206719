-- Says of models that their bundles are given up, before these are removed.
UPDATE tsad.model SET pruned_at = clock_timestamp(), pruned_because = %(because)s
WHERE model_id = ANY(%(model_ids)s::int[]) AND pruned_at IS NULL
