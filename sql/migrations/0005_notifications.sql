-- Notifications: what people were told of incidents, and the outbox that holds each message until it was accepted.

CREATE TABLE tsad.alert (
  alert_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  thread      uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  dataset_id  int NOT NULL REFERENCES tsad.dataset,
  entity_id   int NOT NULL REFERENCES tsad.entity,
  start_at    timestamptz NOT NULL,
  end_at      timestamptz NOT NULL CHECK (end_at >= start_at),
  severity    text NOT NULL CHECK (severity IN ('LOW', 'MEDIUM', 'HIGH')),
  state       text NOT NULL CHECK (state IN ('open', 'closed', 'withdrawn')),
  closed_told boolean NOT NULL,
  incident_id text NOT NULL,
  sentence    text NOT NULL,
  opened_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX alert_standing ON tsad.alert (dataset_id, entity_id, start_at) WHERE state <> 'withdrawn';
COMMENT ON TABLE tsad.alert IS
  'What people were told of: bound to an entity and a time, not to an incident''s id, so that late readings which replace the incident neither repeat the alert nor lose it.';
COMMENT ON COLUMN tsad.alert.thread IS 'Random name of the thread of messages; keys of messages are hashes of it.';
COMMENT ON COLUMN tsad.alert.end_at IS 'Last flag, included: the range is that of the incidents which the alert stands for.';
COMMENT ON COLUMN tsad.alert.severity IS 'The highest one that people were told.';
COMMENT ON COLUMN tsad.alert.closed_told IS 'People know that it ended; should late readings prolong it, that is not said again.';
COMMENT ON COLUMN tsad.alert.incident_id IS 'The incident that it stood for when last looked at.';

CREATE TABLE tsad.notification (
  notification_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dataset_id      int NOT NULL REFERENCES tsad.dataset,
  alert_id        bigint REFERENCES tsad.alert,
  event           text NOT NULL CHECK (event IN ('opened', 'escalated', 'closed', 'withdrawn', 'digest')),
  key             text NOT NULL UNIQUE,
  medium          text NOT NULL CHECK (medium IN ('email', 'webhook')),
  connection      text NOT NULL,
  address         text NOT NULL,
  payload         jsonb NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  attempts        int NOT NULL DEFAULT 0,
  n_refused       int NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL DEFAULT '-infinity',
  delivered_at    timestamptz,
  failed_at       timestamptz,
  last_error      text NOT NULL DEFAULT '',
  CHECK ((event = 'digest') = (alert_id IS NULL)),
  CHECK (delivered_at IS NULL OR failed_at IS NULL)
);
CREATE INDEX notification_pending ON tsad.notification (dataset_id, next_attempt_at)
  WHERE delivered_at IS NULL AND failed_at IS NULL;
CREATE INDEX notification_alert ON tsad.notification (alert_id);
COMMENT ON TABLE tsad.notification IS
  'The outbox: one message to one address, kept and tried again until it was accepted. The row is written with the state change that it tells of.';
COMMENT ON COLUMN tsad.notification.key IS
  'Hash of the alert''s thread, event, severity and address; sent along (Message-ID, Idempotency-Key), so that a receiver can drop the double that a crash between sending and committing makes.';
COMMENT ON COLUMN tsad.notification.connection IS 'Id of the Airflow connection; what it holds is read when the message is sent and never stored here.';
COMMENT ON COLUMN tsad.notification.n_refused IS 'How often the receiver refused it for good; after some of these it is failed.';

CREATE VIEW tsad.v_notification AS
  SELECT d.name AS dataset, n.notification_id, e.name AS entity, n.event, a.severity, a.state AS alert_state, a.start_at AS started_at,
         a.incident_id, n.medium, n.connection, n.address,
         CASE WHEN n.delivered_at IS NOT NULL THEN 'delivered' WHEN n.failed_at IS NOT NULL THEN 'failed' ELSE 'pending' END AS state,
         n.attempts, nullif(n.next_attempt_at, '-infinity') AS next_attempt_at, n.last_error, n.created_at, n.delivered_at, n.failed_at, n.payload, n.key
  FROM tsad.notification n
  JOIN tsad.dataset d USING (dataset_id)
  LEFT JOIN tsad.alert a USING (alert_id)
  LEFT JOIN tsad.entity e ON e.entity_id = a.entity_id;
COMMENT ON VIEW tsad.v_notification IS 'Every message about incidents: to whom, what of, and whether it was accepted. What waits or failed: WHERE state <> ''delivered''.';
COMMENT ON COLUMN tsad.v_notification.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_notification.notification_id IS 'Number of the message; to one address they leave in this order, alert by alert.';
COMMENT ON COLUMN tsad.v_notification.entity IS 'The machine or host; NULL in a digest.';
COMMENT ON COLUMN tsad.v_notification.event IS 'opened, escalated (its severity rose), closed, withdrawn (late readings took it back, or it was suppressed), or digest (many events in one message; see payload).';
COMMENT ON COLUMN tsad.v_notification.severity IS 'The highest severity that people were told of this alert; what this message says is in payload.';
COMMENT ON COLUMN tsad.v_notification.alert_state IS 'What became of the alert by now: open, closed or withdrawn.';
COMMENT ON COLUMN tsad.v_notification.started_at IS 'First flag that the alert stands for, as known now.';
COMMENT ON COLUMN tsad.v_notification.incident_id IS 'The incident that the alert stands for, as known now; see v_incident.';
COMMENT ON COLUMN tsad.v_notification.medium IS 'email or webhook.';
COMMENT ON COLUMN tsad.v_notification.connection IS 'Id of the Airflow connection that it is sent through.';
COMMENT ON COLUMN tsad.v_notification.address IS 'The address; empty for a webhook, whose address is in its connection.';
COMMENT ON COLUMN tsad.v_notification.state IS 'pending, delivered (a server took it), or failed (refused for good).';
COMMENT ON COLUMN tsad.v_notification.attempts IS 'How often it was tried.';
COMMENT ON COLUMN tsad.v_notification.next_attempt_at IS 'It is not tried again before this; NULL: not tried yet.';
COMMENT ON COLUMN tsad.v_notification.last_error IS 'What the receiver said when it was last tried in vain.';
COMMENT ON COLUMN tsad.v_notification.created_at IS 'When the event was seen.';
COMMENT ON COLUMN tsad.v_notification.delivered_at IS 'When a server took it; NULL: not yet.';
COMMENT ON COLUMN tsad.v_notification.failed_at IS 'When it was given up; NULL: it was not.';
COMMENT ON COLUMN tsad.v_notification.payload IS 'What the message says, as a webhook gets it.';
COMMENT ON COLUMN tsad.v_notification.key IS 'Sent along as Message-ID or Idempotency-Key; the same in every attempt.';

GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.alert, tsad.notification TO tsad_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA tsad TO tsad_writer;
GRANT SELECT ON tsad.v_notification TO tsad_writer, tsad_reader;
