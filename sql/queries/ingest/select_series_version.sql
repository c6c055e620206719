-- Which names of series hold.
SELECT series_version FROM tsad.dataset WHERE dataset_id = %(dataset_id)s
