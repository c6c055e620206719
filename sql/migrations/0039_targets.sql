-- Targets that hear a part, or later: what people were told of who has an incident in hand, and messages that wait.

ALTER TABLE tsad.alert ADD COLUMN channel text, ADD COLUMN taken_by text;
COMMENT ON COLUMN tsad.alert.channel IS 'The channel that carries most of the error of the incident that it stood for when last looked at; NULL: not known.';
COMMENT ON COLUMN tsad.alert.taken_by IS 'Who people were told has it in hand; NULL: nobody.';

ALTER TABLE tsad.notification
  ADD COLUMN held_until timestamptz,
  ADD COLUMN bundled_into bigint REFERENCES tsad.notification ON DELETE SET NULL,
  DROP CONSTRAINT notification_event_check,
  ADD CONSTRAINT notification_event_check CHECK (event IN
    ('opened', 'escalated', 'taken', 'closed', 'withdrawn', 'digest', 'gate_failed', 'waits_for_person', 'shadow_failed', 'training_stopped',
     'promoted', 'rolled_back', 'silent', 'back', 'outside_experience'));
CREATE INDEX notification_bundle ON tsad.notification (bundled_into) WHERE bundled_into IS NOT NULL;
COMMENT ON COLUMN tsad.notification.held_until IS 'It waits until then, for quiet hours to end or a digest to be due; NULL: it does not.';
COMMENT ON COLUMN tsad.notification.bundled_into IS 'The digest that says it, and whose attempts are its own; NULL: it is sent by itself.';
