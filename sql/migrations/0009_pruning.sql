-- Bundles that were removed because nothing refers to them any more, and e-mail addresses that readers do not see in full.

ALTER TABLE tsad.model
  ADD COLUMN pruned_at timestamptz,
  ADD COLUMN pruned_because text,
  ADD CONSTRAINT model_pruned_because CHECK ((pruned_at IS NULL) = (pruned_because IS NULL));
COMMENT ON COLUMN tsad.model.pruned_at IS 'When its bundle was given up; its row, its gate and its decisions stay. NULL: the bundle is kept.';

CREATE OR REPLACE VIEW tsad.v_model AS
  SELECT d.name AS dataset, m.model_id, m.version, e.name AS entity, m.lineage, m.detector, m.train_start_at, m.train_end_at,
         m.gate_passed, p.valid_from, p.valid_to, coalesce(p.valid_to = 'infinity', false) AS champion, m.n_parameters, m.seed,
         m.parent_model_id, m.config_hash, m.sha256, m.artifact_uri, m.card, m.created_at,
         CASE WHEN s.valid_to = 'infinity' THEN 'shadow' WHEN p.valid_to = 'infinity' THEN 'champion'
              WHEN p.valid_from IS NOT NULL THEN 'former champion' WHEN NOT m.gate_passed THEN 'gate failed'
              ELSE coalesce(replace(l.decision, '_', ' '), 'registered') END AS state,
         s.valid_from AS shadow_from, s.valid_to AS shadow_to, m.pruned_at, m.pruned_because
  FROM tsad.model m
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.entity e ON e.entity_id = m.scope_entity_id
  LEFT JOIN tsad.champion_period p ON p.model_id = m.model_id AND p.lineage = m.lineage
  LEFT JOIN tsad.champion_period s ON s.model_id = m.model_id AND s.lineage = m.lineage || '/shadow'
  LEFT JOIN LATERAL (
    SELECT x.decision FROM tsad.model_decision x WHERE x.model_id = m.model_id ORDER BY x.decision_id DESC LIMIT 1) l ON true;
COMMENT ON COLUMN tsad.v_model.pruned_at IS 'When its bundle was removed, after which it cannot score any more; NULL: the bundle is kept.';
COMMENT ON COLUMN tsad.v_model.pruned_because IS 'Why nothing needed it any more; NULL: the bundle is kept.';

-- An e-mail address shows its first letter and its domain.
CREATE OR REPLACE VIEW tsad.v_notification AS
  SELECT d.name AS dataset, n.notification_id, e.name AS entity, n.event, a.severity, a.state AS alert_state, a.start_at AS started_at,
         a.incident_id, n.medium, n.connection, regexp_replace(n.address, '^(.)[^@]*@', '\1***@') AS address,
         CASE WHEN n.delivered_at IS NOT NULL THEN 'delivered' WHEN n.failed_at IS NOT NULL THEN 'failed' ELSE 'pending' END AS state,
         n.attempts, nullif(n.next_attempt_at, '-infinity') AS next_attempt_at,
         regexp_replace(n.last_error, '([^[:space:]<>@,;:"])[^[:space:]<>@,;:"]*@', '\1***@', 'g') AS last_error,
         n.created_at, n.delivered_at, n.failed_at, n.payload, n.key
  FROM tsad.notification n
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.alert a USING (alert_id)
  LEFT JOIN tsad.entity e ON e.entity_id = a.entity_id;
COMMENT ON COLUMN tsad.v_notification.address IS 'The address: its first letter and its domain; empty for a webhook, whose address is in its connection.';
COMMENT ON COLUMN tsad.v_notification.last_error IS 'What the receiver said when it was last tried in vain, addresses as above.';
