-- Which states of a folding model are remembered, and the digests that they hold for, for binary COPY.
SELECT entity_id, hour_at, digest
FROM tsad.fold_state
WHERE entity_id = ANY(%(entity_ids)s::int[]) AND model_id = %(model_id)s AND hour_at >= %(start_at)s AND hour_at < %(end_at)s
