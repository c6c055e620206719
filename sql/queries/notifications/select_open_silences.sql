-- Silences of a dataset of which some entity is silent, oldest first: of each how many were and are, and since when some are back.
SELECT s.silence_id, s.thread::text, s.carrier, s.is_whole, s.since_at, count(*) AS n_entities,
       count(*) FILTER (WHERE m.is_back) AS n_back, min(m.ended_at) FILTER (WHERE m.is_back) AS first_back_at
FROM tsad.silence s JOIN tsad.silent_entity m USING (silence_id)
WHERE s.dataset_id = %(dataset_id)s
GROUP BY s.silence_id
HAVING bool_or(m.ended_at IS NULL)
ORDER BY s.silence_id
