-- Every interval up to the end of a range is done, if those before it are.
UPDATE tsad.scoring_progress
SET done_until = %(end_at)s
WHERE dataset_id = %(dataset_id)s AND done_until >= %(start_at)s AND done_until < %(end_at)s
