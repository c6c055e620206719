-- Ends the period that holds a moment, there; the record that it was to last longer stays.
WITH moment AS (SELECT clock_timestamp() AS now),
former AS (
  UPDATE tsad.champion_record r SET replaced_at = greatest(moment.now, r.recorded_at) FROM moment
  WHERE r.dataset_id = %(dataset_id)s AND r.scope_entity_id = %(scope_entity_id)s AND r.lineage = %(lineage)s
    AND r.replaced_at = 'infinity' AND r.valid_from < %(at)s AND r.valid_to > %(at)s
  RETURNING r.*)
INSERT INTO tsad.champion_record (lineage, dataset_id, scope_entity_id, model_id, valid_from, valid_to, decided_at, reason, recorded_at)
SELECT lineage, dataset_id, scope_entity_id, model_id, valid_from, %(at)s, decided_at, reason, replaced_at FROM former
