-- What was decided on a dataset's models, the newest first.
SELECT version, decision, former_version, valid_from, decided_by, reason, decided_at FROM tsad.v_model_history
WHERE dataset = %(dataset)s AND lineage = 'live' ORDER BY decided_at DESC LIMIT %(n)s
