-- What is said of counters, beside what is wrong with sensors.
ALTER TABLE tsad.quality DROP CONSTRAINT quality_verdict_check;
ALTER TABLE tsad.quality ADD CONSTRAINT quality_verdict_check CHECK (verdict IN (
  'constant', 'stuck', 'at_limit', 'out_of_range', 'unit_jump', 'dead', 'sampling_changed',
  'counter_reset', 'meter_replaced', 'spread_over_gap', 'wraps_unknown'));
