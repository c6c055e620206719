-- What was decided on the models of a dataset, newest first.
SELECT decided_at, lineage, version, decision, former_version, valid_from, decided_by, reason
FROM tsad.v_model_history WHERE dataset = %(dataset)s AND lineage <> 'rehearsal' ORDER BY decided_at DESC LIMIT %(n)s
