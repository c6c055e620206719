-- What was said of a training, with what was shown or was too much; the same again is no new one.
INSERT INTO tsad.training_decision
  (dataset_id, lineage, start_at, end_at, decision, decided_by, reason, n_readings, n_entities, excluded_share, missing_share,
   left_out, jumps, pdf, decided_at)
VALUES (%(dataset_id)s, %(lineage)s, %(start_at)s, %(end_at)s, %(decision)s, %(decided_by)s, %(reason)s, %(n_readings)s,
  %(n_entities)s, %(excluded_share)s, %(missing_share)s, %(left_out)s::jsonb, %(jumps)s::jsonb, %(pdf)s, %(decided_at)s)
ON CONFLICT DO NOTHING
