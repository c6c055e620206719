-- Opens a champion's period.
INSERT INTO tsad.champion_record (lineage, dataset_id, scope_entity_id, model_id, valid_from, valid_to, decided_at, reason)
VALUES (%(lineage)s, %(dataset_id)s, %(scope_entity_id)s, %(model_id)s, %(valid_from)s, coalesce(%(valid_to)s::timestamptz, 'infinity'),
  clock_timestamp(), %(reason)s)
