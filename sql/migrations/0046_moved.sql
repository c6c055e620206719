-- What a headline says of a reading is what it did, and not on which side of the expected it is.
ALTER TABLE tsad.incident ADD COLUMN moved text CHECK (moved IN ('rise', 'fall'));
UPDATE tsad.incident SET moved = direction WHERE direction IS NOT NULL;
COMMENT ON COLUMN tsad.incident.moved IS 'Which way the reading that the sentence tells went since it was as expected; NULL: it stayed where it was, or nobody knows.';
