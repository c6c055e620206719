-- What was decided on a model.
INSERT INTO tsad.model_decision (model_id, lineage, decision, former_model_id, valid_from, decided_by, reason)
VALUES (%(model_id)s, %(lineage)s, %(decision)s, %(former_model_id)s, %(valid_from)s, %(decided_by)s, %(reason)s)
