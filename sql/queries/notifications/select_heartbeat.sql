-- What is said of a dataset after an interval that live champions have scored to its end; no row where they have not.
SELECT h.state, h.scored_until, h.late_s, h.n_live, h.n_silent, h.n_retired
FROM tsad.v_health h
WHERE h.dataset = %(dataset)s AND EXISTS (
  SELECT FROM tsad.dataset d
  JOIN tsad.champion_period p ON p.dataset_id = d.dataset_id AND p.lineage = 'live'
  JOIN tsad.score_hour s ON s.model_id = p.model_id AND s.is_done AND s.hour_at >= p.valid_from AND s.hour_at < p.valid_to
  WHERE d.name = h.dataset AND s.hour_at <= %(last_at)s AND s.hour_at > %(last_at)s::timestamptz - interval '1 hour')
