-- What was decided on models in a period, or from an hour of it on, in order.
SELECT version, entity, decision, former_version, reason, coalesce(valid_from, decided_at) AS decided_at
FROM tsad.v_model_history
WHERE dataset = %(dataset)s AND lineage = %(lineage)s
  AND coalesce(valid_from, decided_at) >= %(start_at)s AND coalesce(valid_from, decided_at) < %(end_at)s
ORDER BY v_model_history.decided_at, version
