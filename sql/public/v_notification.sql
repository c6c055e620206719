CREATE OR REPLACE VIEW tsad.v_notification AS
  SELECT d.name AS dataset, n.notification_id, coalesce(e.name, s.name) AS entity, n.event, a.severity, a.state AS alert_state,
         a.start_at AS started_at, a.incident_id, n.medium, n.connection, regexp_replace(n.address, '^(.)[^@]*@', '\1***@') AS address,
         CASE WHEN n.delivered_at IS NOT NULL THEN 'delivered' WHEN n.failed_at IS NOT NULL THEN 'failed' ELSE 'pending' END AS state,
         n.attempts, nullif(n.next_attempt_at, '-infinity') AS next_attempt_at,
         regexp_replace(n.last_error, '([^[:space:]<>@,;:"])[^[:space:]<>@,;:"]*@', '\1***@', 'g') AS last_error,
         n.created_at, n.delivered_at, n.failed_at, n.payload, n.key, m.version, n.held_until, n.bundled_into
  FROM tsad.notification n
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.alert a USING (alert_id)
  LEFT JOIN tsad.entity e ON e.entity_id = a.entity_id
  LEFT JOIN tsad.news w USING (news_id)
  LEFT JOIN tsad.model_decision x ON x.decision_id = w.decision_id
  LEFT JOIN tsad.model m ON m.model_id = x.model_id
  LEFT JOIN tsad.entity s ON s.entity_id = m.scope_entity_id;

COMMENT ON VIEW tsad.v_notification IS 'Every message about incidents, models, silences, conditions outside of experience and sensors out of order: to whom, what of, and whether it was accepted. What waits or failed: WHERE state <> ''delivered''.';
COMMENT ON COLUMN tsad.v_notification.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_notification.notification_id IS 'Number of the message; to one address they leave in this order, alert by alert.';
COMMENT ON COLUMN tsad.v_notification.entity IS 'The machine or host; NULL in a digest, of a silence, a condition or sensors (see payload), and where a model is of the whole dataset.';
COMMENT ON COLUMN tsad.v_notification.event IS 'Of incidents: opened, escalated (its severity rose), taken (somebody has it in hand), closed, withdrawn (late readings took it back, or it was suppressed). Of models: gate_failed, waits_for_person, shadow_failed, training_stopped, promoted, rolled_back. Of entities that report no more: silent, back. Of conditions that training never saw: outside_experience. Of sensors that are dead, stuck or constant: out_of_order. digest: many events in one message; see payload.';
COMMENT ON COLUMN tsad.v_notification.severity IS 'The highest severity that people were told of this alert; what this message says is in payload.';
COMMENT ON COLUMN tsad.v_notification.alert_state IS 'What became of the alert by now: open, closed or withdrawn.';
COMMENT ON COLUMN tsad.v_notification.started_at IS 'First flag that the alert stands for, as known now.';
COMMENT ON COLUMN tsad.v_notification.incident_id IS 'The incident that the alert stands for, as known now; see v_incident.';
COMMENT ON COLUMN tsad.v_notification.medium IS 'By which channel: email, webhook, or another that the dataset''s file names.';
COMMENT ON COLUMN tsad.v_notification.connection IS 'Id of the Airflow connection that it is sent through.';
COMMENT ON COLUMN tsad.v_notification.address IS 'The address: its first letter and its domain; empty for a webhook, whose address is in its connection.';
COMMENT ON COLUMN tsad.v_notification.state IS 'pending, delivered (a server took it), or failed (refused for good).';
COMMENT ON COLUMN tsad.v_notification.attempts IS 'How often it was tried.';
COMMENT ON COLUMN tsad.v_notification.next_attempt_at IS 'It is not tried again before this; NULL: not tried yet.';
COMMENT ON COLUMN tsad.v_notification.last_error IS 'What the receiver said when it was last tried in vain, addresses as above.';
COMMENT ON COLUMN tsad.v_notification.created_at IS 'When the event was seen.';
COMMENT ON COLUMN tsad.v_notification.delivered_at IS 'When a server took it; NULL: not yet.';
COMMENT ON COLUMN tsad.v_notification.failed_at IS 'When it was given up; NULL: it was not.';
COMMENT ON COLUMN tsad.v_notification.payload IS 'What the message says, as a webhook gets it.';
COMMENT ON COLUMN tsad.v_notification.key IS 'Sent along as Message-ID or Idempotency-Key; the same in every attempt.';
COMMENT ON COLUMN tsad.v_notification.version IS 'The model that was decided on; NULL in messages about incidents or trainings, and in digests.';
COMMENT ON COLUMN tsad.v_notification.held_until IS 'It waits until then, for quiet hours to end or a digest to be due; NULL: it does not.';
COMMENT ON COLUMN tsad.v_notification.bundled_into IS 'The notification_id of the digest that says it; NULL: it is sent by itself.';

GRANT SELECT ON tsad.v_notification TO tsad_writer, tsad_reader;
