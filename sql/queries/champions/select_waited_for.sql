-- Which version a model waits for, where that is the last word on it.
SELECT f.version
FROM tsad.model_decision x LEFT JOIN tsad.model f ON f.model_id = x.former_model_id
WHERE x.decision = 'waiting'
  AND x.decision_id = (SELECT max(y.decision_id) FROM tsad.model_decision y WHERE y.model_id = %(model_id)s)
