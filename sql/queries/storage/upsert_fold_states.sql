-- Remembers states of a folding model.
INSERT INTO tsad.fold_state (model_id, entity_id, hour_at, digest, state)
SELECT %(model_id)s, * FROM unnest(%(entity_ids)s::int[], %(hours)s::timestamptz[], %(digests)s::bigint[], %(states)s::bytea[])
ON CONFLICT (model_id, entity_id, hour_at) DO UPDATE SET digest = excluded.digest, state = excluded.state
  WHERE fold_state.digest <> excluded.digest
