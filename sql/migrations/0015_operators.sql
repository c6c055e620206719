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

-- What was said of times that no sensor has lived through holds no longer, since a year of five digits stopped whoever read it; nor can it
-- be said again. The times are brought into the calendar, and stand in the words as they were.
UPDATE tsad.verdict SET withdrawn_at = coalesce(withdrawn_at, clock_timestamp()), withdrawn_login = session_user,
  note = concat_ws(' ', nullif(note, ''), format('(said of %s to %s)', start_at, end_at)),
  start_at = least(greatest(start_at, '1970-01-01 00:00Z'), '2099-12-31 00:00Z'), end_at = greatest(least(end_at, '2100-01-01 00:00Z'), '1970-01-02 00:00Z')
WHERE start_at < '1970-01-01 00:00Z' OR end_at > '2100-01-01 00:00Z';
UPDATE tsad.label_record SET withdrawn_at = coalesce(withdrawn_at, clock_timestamp()), withdrawn_login = session_user,
  withdrawn_by = coalesce(withdrawn_by, session_user),
  note = concat_ws(' ', nullif(note, ''), format('(said of %s to %s)', start_at, end_at)),
  start_at = least(greatest(start_at, '1970-01-01 00:00Z'), '2099-12-31 00:00Z'), end_at = greatest(least(end_at, '2100-01-01 00:00Z'), '1970-01-02 00:00Z')
WHERE start_at < '1970-01-01 00:00Z' OR end_at > '2100-01-01 00:00Z';
UPDATE tsad.maintenance_window SET withdrawn_at = coalesce(withdrawn_at, clock_timestamp()), withdrawn_login = session_user,
  title = format('%s (said of %s to %s)', title, start_at, end_at),
  start_at = least(greatest(start_at, '1970-01-01 00:00Z'), '2099-12-31 00:00Z'), end_at = greatest(least(end_at, '2100-01-01 00:00Z'), '1970-01-02 00:00Z')
WHERE start_at < '1970-01-01 00:00Z' OR end_at > '2100-01-01 00:00Z';
UPDATE tsad.maintenance_window SET withdrawn_at = clock_timestamp(), withdrawn_login = session_user
WHERE withdrawn_at IS NULL AND greatest(margin_before_s, margin_after_s) > 2678400;
UPDATE tsad.channel_epoch SET withdrawn_at = coalesce(withdrawn_at, clock_timestamp()), withdrawn_login = session_user,
  reason = format('%s (said of %s)', reason, from_at), usable_at = usable_at + (least(greatest(from_at, '1970-01-01 00:00Z'), '2100-01-01 00:00Z') - from_at),
  from_at = least(greatest(from_at, '1970-01-01 00:00Z'), '2100-01-01 00:00Z')
WHERE from_at NOT BETWEEN '1970-01-01 00:00Z' AND '2100-01-01 00:00Z';
UPDATE tsad.channel_epoch SET withdrawn_at = clock_timestamp(), withdrawn_login = session_user
WHERE withdrawn_at IS NULL AND (abs(scale) NOT BETWEEN 1e-12 AND 1e12 OR abs("offset") > 1e15);
ALTER TABLE tsad.verdict ADD CONSTRAINT verdict_times_check
  CHECK (start_at >= '1970-01-01 00:00Z' AND end_at <= '2100-01-01 00:00Z');
ALTER TABLE tsad.label_record ADD CONSTRAINT label_record_times_check
  CHECK (start_at >= '1970-01-01 00:00Z' AND end_at <= '2100-01-01 00:00Z');
ALTER TABLE tsad.maintenance_window ADD CONSTRAINT maintenance_window_times_check
  CHECK (start_at >= '1970-01-01 00:00Z' AND end_at <= '2100-01-01 00:00Z');
ALTER TABLE tsad.channel_epoch ADD CONSTRAINT channel_epoch_times_check
  CHECK (from_at BETWEEN '1970-01-01 00:00Z' AND '2100-01-01 00:00Z');
