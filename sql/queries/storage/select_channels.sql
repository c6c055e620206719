-- All channels of a dataset.
SELECT channel_id, name, unit FROM tsad.channel WHERE dataset_id = %(dataset_id)s ORDER BY channel_id
