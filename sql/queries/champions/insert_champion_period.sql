-- Opens a champion's period.
INSERT INTO tsad.champion_record (lineage, dataset_id, scope_entity_id, model_id, valid_from, valid_to, decided_at, reason, recorded_at)
VALUES (%(lineage)s, %(dataset_id)s, %(scope_entity_id)s, %(model_id)s, %(valid_from)s, coalesce(%(valid_to)s::timestamptz, 'infinity'),
  clock_timestamp(), %(reason)s,
  -- Never before the record that it follows was replaced, though the clock was set back.
  greatest(clock_timestamp(), (SELECT max(r.replaced_at) FROM tsad.champion_record r
    WHERE r.dataset_id = %(dataset_id)s AND r.scope_entity_id = %(scope_entity_id)s AND r.lineage = %(lineage)s
      AND r.replaced_at < 'infinity')))
