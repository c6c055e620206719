-- The names of channels are declared where the channels are: each is a file of tsad_tasks/notifications/channels.
ALTER TABLE tsad.notification DROP CONSTRAINT notification_medium_check,
  ADD CONSTRAINT notification_medium_check CHECK (medium <> '');
COMMENT ON COLUMN tsad.v_notification.medium IS 'By which channel: email, webhook, or another that the dataset''s file names.';
