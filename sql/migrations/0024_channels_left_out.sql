-- What is wrong with one sensor is left out for that sensor.
ALTER TABLE tsad.exclusion ADD COLUMN channel text;
COMMENT ON COLUMN tsad.exclusion.channel IS 'The one channel that was left out; NULL: all of the entity.';
