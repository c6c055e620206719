-- How far scheduled runs have scored a dataset, so that what none of them came to is made up, and told apart until then.
CREATE TABLE tsad.scoring_progress (
  dataset_id int PRIMARY KEY REFERENCES tsad.dataset,
  done_until timestamptz NOT NULL,
  taken_by   text,
  taken_at   timestamptz
);
COMMENT ON TABLE tsad.scoring_progress IS 'Up to when the scheduled runs of a dataset have scored every interval, one row for each dataset that has had such a run.';
COMMENT ON COLUMN tsad.scoring_progress.done_until IS 'End of the last interval before which none is left out.';
COMMENT ON COLUMN tsad.scoring_progress.taken_by IS 'The run that works on what follows done_until; NULL: none.';
COMMENT ON COLUMN tsad.scoring_progress.taken_at IS 'When that run was last heard of.';
GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.scoring_progress TO tsad_writer;
