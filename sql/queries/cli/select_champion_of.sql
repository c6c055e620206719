-- The champion of a dataset at one moment, with its card.
SELECT m.model_id, m.version, m.card, p.valid_from
FROM tsad.champion_period p JOIN tsad.model m USING (model_id) JOIN tsad.dataset d ON d.dataset_id = p.dataset_id
WHERE d.name = %(dataset)s AND p.lineage = %(lineage)s AND p.valid_from <= %(at)s AND p.valid_to > %(at)s
