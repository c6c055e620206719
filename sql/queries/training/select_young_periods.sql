-- Hours of a range in which young models were a lineage's champions, and how often each had seen the weekdays.
SELECT p.scope_entity_id, p.valid_from AS start_at, least(p.valid_to, %(end_at)s) AS end_at, m.weekdays_seen
FROM tsad.champion_period p JOIN tsad.model m USING (model_id)
WHERE p.dataset_id = %(dataset_id)s AND p.lineage = %(lineage)s AND m.is_young
  AND p.valid_from < %(end_at)s AND p.valid_to > %(start_at)s
