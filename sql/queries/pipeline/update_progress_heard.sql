-- A run still works on what it has taken.
UPDATE tsad.scoring_progress SET taken_at = clock_timestamp() WHERE dataset_id = %(dataset_id)s AND taken_by = %(run_id)s
