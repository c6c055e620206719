-- Models whose training range was not filled yet, and which weekdays they have seen.
ALTER TABLE tsad.model
  ADD COLUMN is_young boolean NOT NULL DEFAULT false,
  ADD COLUMN weekdays_seen int[],
  ADD COLUMN weekdays_held int[];
COMMENT ON COLUMN tsad.model.is_young IS 'Its readings did not fill the training range, and some weekday was seen fewer than three times.';
COMMENT ON COLUMN tsad.model.weekdays_seen IS 'How often the training range shows each weekday on the clocks of the site, Monday first; NULL: trained before that was counted.';
COMMENT ON COLUMN tsad.model.weekdays_held IS 'Of a young model: weekdays on which nobody is told of what it finds; 0 is Monday.';

ALTER TABLE tsad.incident
  ADD COLUMN unknown_weekdays text,
  ADD COLUMN held boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN tsad.incident.unknown_weekdays IS 'Weekdays of its flags that the young model which raised them has seen fewer than three times; NULL: none.';
COMMENT ON COLUMN tsad.incident.held IS 'All of its flags lie on weekdays on which nobody is told of what a young model finds.';
