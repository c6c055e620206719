-- Notes that readings before a moment are gone.
UPDATE tsad.dataset SET retired_before = greatest(retired_before, %(at)s) WHERE dataset_id = %(dataset_id)s
