-- Young models of a dataset: how often each has seen the weekdays, Monday first, and on which nobody is told.
SELECT model_id, weekdays_seen, weekdays_held FROM tsad.model WHERE dataset_id = %(dataset_id)s AND is_young
