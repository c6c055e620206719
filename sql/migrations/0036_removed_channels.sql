-- Channels that the dataset file has no longer: their columns stay in the dataset's view, and say so.
ALTER TABLE tsad.channel ADD COLUMN removed_at timestamptz;
COMMENT ON COLUMN tsad.channel.removed_at IS 'Since when the dataset file does not have it any more; NULL: it has it.';
