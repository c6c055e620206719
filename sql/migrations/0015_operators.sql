-- A reader reads. Whoever gives verdicts, labels, maintenance windows and changes of sensors is an operator, and reads as well.
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tsad_operator') THEN CREATE ROLE tsad_operator NOLOGIN; END IF;
END $$;
GRANT tsad_reader TO tsad_operator;

-- said_by is what was given; the login is what Postgres knows. NULL: said before logins were kept.
ALTER TABLE tsad.verdict ADD COLUMN login text, ADD COLUMN withdrawn_login text;
ALTER TABLE tsad.label_record ADD COLUMN login text, ADD COLUMN withdrawn_login text;
ALTER TABLE tsad.maintenance_window ADD COLUMN login text, ADD COLUMN withdrawn_login text;
ALTER TABLE tsad.channel_epoch ADD COLUMN login text, ADD COLUMN withdrawn_login text;
ALTER TABLE tsad.verdict ALTER COLUMN login SET DEFAULT session_user;
ALTER TABLE tsad.label_record ALTER COLUMN login SET DEFAULT session_user;
ALTER TABLE tsad.maintenance_window ALTER COLUMN login SET DEFAULT session_user;
ALTER TABLE tsad.channel_epoch ALTER COLUMN login SET DEFAULT session_user;

-- Which state of sql/public is in place: whoever finds its own there has nothing to do, and takes no lock.
CREATE TABLE tsad.public_sql (
  digest text NOT NULL,
  put_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX ON tsad.public_sql ((true));
COMMENT ON TABLE tsad.public_sql IS 'The digest of the views and functions that are in place, and since when.';

-- Incidents that last are cut; the parts after the first say what they continue.
ALTER TABLE tsad.incident ADD COLUMN continues text;
COMMENT ON COLUMN tsad.incident.continues IS 'The incident of which this is the next part, where a long one was cut.';

-- An index holds 2.7 kB, which is 670 channels; a hash of them is as good.
ALTER TABLE tsad.layout DROP CONSTRAINT layout_dataset_id_step_s_channel_ids_key;
CREATE UNIQUE INDEX layout_one ON tsad.layout (dataset_id, step_s, hash_array_extended(channel_ids, 0));
