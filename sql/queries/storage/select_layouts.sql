-- All layouts of a dataset: the one in use first, which has the dataset's step and the most channels.
SELECT l.layout_id, l.step_s, l.channel_ids
FROM tsad.layout l JOIN tsad.dataset d USING (dataset_id)
WHERE l.dataset_id = %(dataset_id)s
ORDER BY l.step_s = d.step_s DESC, cardinality(l.channel_ids) DESC, l.layout_id DESC
