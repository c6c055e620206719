-- Conditions (setpoint, load, ambient) outside of what a model's training saw, hour by hour.
ALTER TABLE tsad.score_block ADD COLUMN outside int[];
COMMENT ON COLUMN tsad.score_block.outside IS 'Channels that are conditions and were outside of what training saw for half of the hour; NULL: none was.';
