-- Registers a dataset and its configuration as last seen; unchanged content writes nothing.
INSERT INTO tsad.dataset AS d (name, description, site_zone, step_s, config, policy_version, merge_gap_s, interval_s, wait_s, silence_s)
VALUES (%(name)s, %(description)s, %(site_zone)s, %(step_s)s, %(config)s::jsonb, %(policy_version)s, %(merge_gap_s)s, %(interval_s)s, %(wait_s)s,
        %(silence_s)s)
ON CONFLICT (name) DO UPDATE
  SET description = EXCLUDED.description, site_zone = EXCLUDED.site_zone, step_s = EXCLUDED.step_s, config = EXCLUDED.config,
      policy_version = EXCLUDED.policy_version, merge_gap_s = EXCLUDED.merge_gap_s, interval_s = EXCLUDED.interval_s,
      wait_s = EXCLUDED.wait_s, silence_s = EXCLUDED.silence_s, updated_at = now()
  WHERE d.config IS DISTINCT FROM EXCLUDED.config OR d.policy_version <> EXCLUDED.policy_version
     OR (d.interval_s, d.wait_s, d.silence_s) IS DISTINCT FROM (EXCLUDED.interval_s, EXCLUDED.wait_s, EXCLUDED.silence_s)
