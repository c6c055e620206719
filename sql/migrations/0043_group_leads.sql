-- A group of alerts is told under its first one, whatever became of that.
CREATE INDEX alert_group ON tsad.alert (group_id) WHERE group_id IS NOT NULL;
