-- Models of which no injected anomaly could be tested wait for a person.
ALTER TABLE tsad.model_decision DROP CONSTRAINT model_decision_decision_check;
ALTER TABLE tsad.model_decision ADD CONSTRAINT model_decision_decision_check CHECK (decision IN
  ('gate_failed', 'waits_for_person', 'waiting', 'shadow_started', 'asked', 'shadow_failed', 'superseded', 'declined', 'promoted', 'rolled_back'));

ALTER TABLE tsad.news DROP CONSTRAINT news_event_check;
ALTER TABLE tsad.news ADD CONSTRAINT news_event_check CHECK (event IN
  ('gate_failed', 'waits_for_person', 'shadow_failed', 'training_stopped', 'promoted', 'rolled_back'));

ALTER TABLE tsad.notification DROP CONSTRAINT notification_event_check;
ALTER TABLE tsad.notification ADD CONSTRAINT notification_event_check CHECK (event IN
  ('opened', 'escalated', 'closed', 'withdrawn', 'digest', 'gate_failed', 'waits_for_person', 'shadow_failed', 'training_stopped', 'promoted',
   'rolled_back', 'silent', 'back', 'outside_experience'));
