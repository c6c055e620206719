-- Each run that finds rows of an hour late has a row of its own: a backfill of long ago scores again what it changed, though a newer run had noted it.
ALTER TABLE tsad.late_hour DROP CONSTRAINT late_hour_pkey;
ALTER TABLE tsad.late_hour ADD PRIMARY KEY (entity_id, hour_at, arrived_at);
COMMENT ON TABLE tsad.late_hour IS 'Hours of entities that were read again, since rows came, of them or of what they depend on, that were missing when they were read first; a row for each interval whose run found some.';
COMMENT ON COLUMN tsad.late_hour.arrived_at IS 'End of the interval by whose run the rows were found.';
