-- Bundles of some models, as far as they are kept.
SELECT model_id, artifact_uri, sha256
FROM tsad.model
WHERE model_id = ANY(%(model_ids)s::int[]) AND pruned_at IS NULL
