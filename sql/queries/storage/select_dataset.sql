-- The dataset of a name.
SELECT dataset_id, name, step_s, merge_gap_s, site_zone, nullif(retired_before, '-infinity') AS retired_before
FROM tsad.dataset WHERE name = %(name)s
