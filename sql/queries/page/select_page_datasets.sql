-- Datasets, with the clocks of their sites.
SELECT dataset_id, name, site_zone, step_s FROM tsad.dataset ORDER BY name
