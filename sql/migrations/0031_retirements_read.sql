-- Whether event counts were read as a retirement says: what was read before it was said, or before it was taken back, is read again.
ALTER TABLE tsad.retirement ADD COLUMN is_read boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN tsad.retirement.is_read IS 'Hours of datasets with event counts were read as those of a retired entity; false also once they were read again after it was taken back.';
