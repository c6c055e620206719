-- All layouts of a dataset, newest first.
SELECT layout_id, step_s, channel_ids FROM tsad.layout WHERE dataset_id = %(dataset_id)s ORDER BY layout_id DESC
