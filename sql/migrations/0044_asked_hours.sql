-- An hour that a run read on its way back is read again by the run whose own it is.

ALTER TABLE tsad.ingest_hour ADD COLUMN asked_from timestamptz, ADD COLUMN asked_until timestamptz;
-- Of hours read so far it is not known which runs they were of; they stay as they are.
UPDATE tsad.ingest_hour SET asked_from = hour_at, asked_until = read_until;
COMMENT ON COLUMN tsad.ingest_hour.asked_from IS 'From here to asked_until the hour was read by runs whose interval this is; empty or NULL: only by others, that look back.';
COMMENT ON COLUMN tsad.ingest_hour.asked_until IS 'See asked_from.';
