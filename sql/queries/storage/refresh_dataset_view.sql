-- Makes the dataset's view of readings anew.
SELECT tsad.refresh_dataset_view(%(dataset_id)s)
