-- Removes every row that a rehearsal of a dataset left: its models and what they said, and nothing else.
WITH gone AS (
  SELECT model_id FROM tsad.model WHERE dataset_id = %(dataset_id)s AND lineage = 'rehearsal'),
one AS (SELECT entity_id FROM tsad.entity WHERE dataset_id = %(dataset_id)s),
a AS (DELETE FROM tsad.attribution x USING gone, one WHERE x.model_id = gone.model_id AND x.entity_id = one.entity_id),
b AS (DELETE FROM tsad.anomaly x USING gone, one WHERE x.model_id = gone.model_id AND x.entity_id = one.entity_id),
c AS (DELETE FROM tsad.score_block x USING gone, one WHERE x.model_id = gone.model_id AND x.entity_id = one.entity_id),
d AS (DELETE FROM tsad.fold_state x USING gone WHERE x.model_id = gone.model_id),
e AS (DELETE FROM tsad.score_hour x USING gone WHERE x.model_id = gone.model_id),
f AS (DELETE FROM tsad.unscored_hour x USING one WHERE x.entity_id = one.entity_id AND x.lineage LIKE 'rehearsal%%'),
g AS (DELETE FROM tsad.incident x USING one WHERE x.entity_id = one.entity_id AND x.lineage LIKE 'rehearsal%%'),
h AS (DELETE FROM tsad.commissioning_reference x USING gone WHERE x.model_id = gone.model_id),
i AS (DELETE FROM tsad.drift x USING gone WHERE x.model_id = gone.model_id),
j AS (DELETE FROM tsad.audit x USING gone WHERE x.model_id = gone.model_id),
k AS (DELETE FROM tsad.exclusion x USING gone WHERE x.model_id = gone.model_id),
l AS (DELETE FROM tsad.gate_decision x USING gone WHERE x.model_id = gone.model_id),
m AS (DELETE FROM tsad.model_decision x USING gone WHERE x.model_id = gone.model_id),
n AS (DELETE FROM tsad.training_decision x WHERE x.dataset_id = %(dataset_id)s AND x.lineage LIKE 'rehearsal%%'),
o AS (DELETE FROM tsad.champion_record x WHERE x.dataset_id = %(dataset_id)s AND x.lineage LIKE 'rehearsal%%')
DELETE FROM tsad.model x USING gone WHERE x.model_id = gone.model_id
