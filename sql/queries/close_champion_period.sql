-- Ends the period that holds a moment, there.
UPDATE tsad.champion_period SET valid_to = %(at)s
WHERE dataset_id = %(dataset_id)s AND scope_entity_id = %(scope_entity_id)s AND lineage = %(lineage)s
  AND valid_from < %(at)s AND valid_to > %(at)s
