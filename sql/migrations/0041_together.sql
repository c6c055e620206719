-- An alert of a group of incidents is told with the group.
ALTER TABLE tsad.alert ADD COLUMN group_id text;
COMMENT ON COLUMN tsad.alert.group_id IS 'The group of incidents in whose words it was told; NULL: it was told in its own.';
