-- What the champion, or a challenger in the shadow, has seen so far: hours that it has scored, and incidents since then.
SELECT o.version, o.state, o.since_at,
       (SELECT count(*)::int FROM tsad.score_hour h WHERE h.model_id = o.model_id AND h.hour_at >= o.since_at AND h.is_done) AS n_hours,
       CASE WHEN o.champion THEN (
         SELECT count(*)::int FROM tsad.incident_chains(ARRAY[%(dataset)s::text], 'live', o.since_at, 'infinity') c WHERE c.started_at >= o.since_at) END AS n_incidents
FROM (
  SELECT m.version, m.model_id, m.state, m.champion, CASE WHEN m.champion THEN m.valid_from ELSE m.shadow_from END AS since_at
  FROM tsad.v_model m WHERE m.dataset = %(dataset)s AND m.lineage = 'live' AND (m.champion OR m.state = 'shadow')) o
WHERE o.since_at IS NOT NULL
ORDER BY o.version DESC
