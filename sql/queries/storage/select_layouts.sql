-- All layouts of a dataset: the one in use first, which has the dataset's step and the most channels.
SELECT l.layout_id, l.step_s, l.channel_ids,
       ARRAY(SELECT c.name FROM unnest(l.channel_ids) WITH ORDINALITY AS u(channel_id, i) JOIN tsad.channel c USING (channel_id) ORDER BY u.i)
         AS channel_names
FROM tsad.layout l JOIN tsad.dataset d USING (dataset_id)
WHERE l.dataset_id = %(dataset_id)s
ORDER BY l.step_s = d.step_s DESC, cardinality(l.channel_ids) DESC, l.layout_id DESC
