-- Registers a dataset and its configuration as last seen; unchanged content writes nothing.
INSERT INTO tsad.dataset AS d (name, description, site_zone, step_s, config, policy_version, merge_gap_s)
VALUES (%(name)s, %(description)s, %(site_zone)s, %(step_s)s, %(config)s::jsonb, %(policy_version)s, %(merge_gap_s)s)
ON CONFLICT (name) DO UPDATE
  SET description = EXCLUDED.description, site_zone = EXCLUDED.site_zone, step_s = EXCLUDED.step_s, config = EXCLUDED.config,
      policy_version = EXCLUDED.policy_version, merge_gap_s = EXCLUDED.merge_gap_s, updated_at = now()
  WHERE d.config IS DISTINCT FROM EXCLUDED.config OR d.policy_version <> EXCLUDED.policy_version
