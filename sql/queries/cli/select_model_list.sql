-- Models of a dataset with their state, newest first.
SELECT version, entity, lineage, state, valid_from, valid_to, shadow_from, train_end_at, detector, pruned_at,
       young, weekdays_seen
FROM tsad.v_model WHERE dataset = %(dataset)s AND lineage <> 'rehearsal' ORDER BY version DESC, valid_from DESC LIMIT %(n)s
