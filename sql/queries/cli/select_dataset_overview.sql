-- What each dataset last did, one row each.
SELECT d.name AS dataset,
       (SELECT count(*) FROM tsad.entity e WHERE e.dataset_id = d.dataset_id) AS n_entities,
       (SELECT max(h.newest_at) FROM tsad.ingest_hour h WHERE h.dataset_id = d.dataset_id) AS newest_reading_at,
       (SELECT max(s.hour_at) FROM tsad.v_status s WHERE s.dataset = d.name AND s.status IN ('scored', 'partial', 'unknown_entity_scale'))
         AS newest_score_at,
       (SELECT count(*) FROM tsad.v_incident i WHERE i.dataset = d.name AND i.state = 'open' AND i.suppressed_by IS NULL) AS n_open,
       (SELECT 'version ' || max(m.version) || CASE WHEN count(*) > 1 THEN ' and ' || count(*) - 1 || ' more' ELSE '' END
        FROM tsad.champion_period p JOIN tsad.model m USING (model_id)
        WHERE p.dataset_id = d.dataset_id AND p.lineage = 'live' AND p.valid_to = 'infinity' HAVING count(*) > 0) AS champion,
       (SELECT r.step || ': ' || r.state || ' ' || left(r.message, 80) FROM tsad.run_status r
        WHERE r.dataset_id = d.dataset_id AND r.state NOT IN ('done', 'nothing_to_do', 'not_yet')
        ORDER BY r.finished_at DESC LIMIT 1) AS last_problem
FROM tsad.dataset d ORDER BY d.name
