-- Tells those who read hours that series are called otherwise now.
UPDATE tsad.dataset SET series_version = series_version + 1 WHERE dataset_id = %(dataset_id)s
