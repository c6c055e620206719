-- News of models: what was decided on them, told by the outbox that tells of incidents; trainings that a rule stopped.

-- Trainings that were stopped because too much would have been left out -------------------------------------------------

ALTER TABLE tsad.training_decision ALTER COLUMN missing_share DROP NOT NULL;
CREATE UNIQUE INDEX training_decision_by_rule ON tsad.training_decision (dataset_id, lineage, start_at, end_at, md5(reason))
  WHERE decided_by = 'exclusions';
COMMENT ON TABLE tsad.training_decision IS
  'Trainings that a person was asked about, what was shown of them, and what came of it; and those that were stopped because too much would have been left out. Never changed.';

COMMENT ON VIEW tsad.v_training_decision IS
  'Trainings that a person was asked about (training.preview: manual, or tsad retrain --preview), and what came of it; and those that training.max_excluded_share stopped.';
COMMENT ON COLUMN tsad.v_training_decision.decided_by IS
  'Who answered; nobody: training.unanswered decided; exclusions: more than training.max_excluded_share would have been left out.';
COMMENT ON COLUMN tsad.v_training_decision.reason IS 'How it was answered, or what was too much.';
COMMENT ON COLUMN tsad.v_training_decision.missing_share IS
  'Share of values that were not read, of the channel where it is largest; NULL: not looked at.';
COMMENT ON COLUMN tsad.v_training_decision.pdf IS 'Where the pictures are; empty: nobody was asked.';

-- What was told of decisions ---------------------------------------------------------------------------------------------

CREATE TABLE tsad.news (
  news_id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  thread               uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  dataset_id           int NOT NULL REFERENCES tsad.dataset,
  event                text NOT NULL CHECK (event IN ('gate_failed', 'shadow_failed', 'training_stopped', 'promoted', 'rolled_back')),
  decision_id          bigint UNIQUE REFERENCES tsad.model_decision,
  training_decision_id bigint UNIQUE REFERENCES tsad.training_decision,
  told_at              timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK (num_nonnulls(decision_id, training_decision_id) = 1)
);
COMMENT ON TABLE tsad.news IS
  'Decisions on live models and trainings that people were told of; one row each, written with the messages, so that none is told twice.';
COMMENT ON COLUMN tsad.news.thread IS 'Random name of the news; keys of messages are hashes of it.';
COMMENT ON COLUMN tsad.news.decision_id IS 'The row of model_decision that says so; NULL: a training was stopped.';
COMMENT ON COLUMN tsad.news.training_decision_id IS 'The row of training_decision that says so; NULL: it was decided on a model.';

ALTER TABLE tsad.notification
  ADD COLUMN news_id bigint REFERENCES tsad.news,
  DROP CONSTRAINT notification_event_check,
  DROP CONSTRAINT notification_check,
  ADD CONSTRAINT notification_event_check CHECK (event IN
    ('opened', 'escalated', 'closed', 'withdrawn', 'digest', 'gate_failed', 'shadow_failed', 'training_stopped', 'promoted', 'rolled_back')),
  ADD CONSTRAINT notification_of_one CHECK (num_nonnulls(alert_id, news_id) = CASE event WHEN 'digest' THEN 0 ELSE 1 END);
COMMENT ON COLUMN tsad.notification.news_id IS 'The news that it tells; NULL in messages about incidents and in digests.';
COMMENT ON COLUMN tsad.notification.key IS
  'Hash of the alert''s or the news'' thread, event, severity and address; sent along (Message-ID, Idempotency-Key), so that a receiver can drop the double that a crash between sending and committing makes.';

CREATE OR REPLACE VIEW tsad.v_notification AS
  SELECT d.name AS dataset, n.notification_id, coalesce(e.name, s.name) AS entity, n.event, a.severity, a.state AS alert_state,
         a.start_at AS started_at, a.incident_id, n.medium, n.connection, regexp_replace(n.address, '^(.)[^@]*@', '\1***@') AS address,
         CASE WHEN n.delivered_at IS NOT NULL THEN 'delivered' WHEN n.failed_at IS NOT NULL THEN 'failed' ELSE 'pending' END AS state,
         n.attempts, nullif(n.next_attempt_at, '-infinity') AS next_attempt_at,
         regexp_replace(n.last_error, '([^[:space:]<>@,;:"])[^[:space:]<>@,;:"]*@', '\1***@', 'g') AS last_error,
         n.created_at, n.delivered_at, n.failed_at, n.payload, n.key, m.version
  FROM tsad.notification n
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.alert a USING (alert_id)
  LEFT JOIN tsad.entity e ON e.entity_id = a.entity_id
  LEFT JOIN tsad.news w USING (news_id)
  LEFT JOIN tsad.model_decision x ON x.decision_id = w.decision_id
  LEFT JOIN tsad.model m ON m.model_id = x.model_id
  LEFT JOIN tsad.entity s ON s.entity_id = m.scope_entity_id;
COMMENT ON VIEW tsad.v_notification IS
  'Every message about incidents and models: to whom, what of, and whether it was accepted. What waits or failed: WHERE state <> ''delivered''.';
COMMENT ON COLUMN tsad.v_notification.entity IS 'The machine or host; NULL in a digest, and where a model is of the whole dataset.';
COMMENT ON COLUMN tsad.v_notification.event IS
  'Of incidents: opened, escalated (its severity rose), closed, withdrawn (late readings took it back, or it was suppressed). Of models: gate_failed, shadow_failed, training_stopped, promoted, rolled_back. digest: many events in one message; see payload.';
COMMENT ON COLUMN tsad.v_notification.version IS 'The model that was decided on; NULL in messages about incidents or trainings, and in digests.';

GRANT SELECT, INSERT ON tsad.news TO tsad_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA tsad TO tsad_writer;
