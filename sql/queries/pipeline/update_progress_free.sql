-- A run no longer works on what follows the intervals that are done.
UPDATE tsad.scoring_progress SET taken_by = NULL, taken_at = NULL WHERE dataset_id = %(dataset_id)s AND taken_by = %(run_id)s
