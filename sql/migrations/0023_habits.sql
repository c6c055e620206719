-- What is usual for a sensor is known from summaries of its hours, and how noisy a mean is from its number of readings.
ALTER TABLE tsad.reading_block ADD COLUMN summary bytea, ADD COLUMN n_values bytea;
COMMENT ON COLUMN tsad.reading_block.summary IS 'What the hour was like, 78 bytes for each channel of the layout; NULL: made when it is next needed.';
COMMENT ON COLUMN tsad.reading_block.n_values IS 'From how many readings of the source each value was made, a byte for each (255: or more); NULL: not known.';

ALTER TABLE tsad.quality DROP CONSTRAINT quality_verdict_check;
ALTER TABLE tsad.quality ADD CONSTRAINT quality_verdict_check CHECK (
  verdict IN ('constant', 'stuck', 'at_limit', 'out_of_range', 'unit_jump', 'dead', 'sampling_changed'));
