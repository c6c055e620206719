-- Retention: drops whole months of scores that no dataset keeps any more; one without score retention keeps all.
SELECT m.name
FROM (SELECT min(CASE WHEN d.config #>> '{retention,scores_s}' IS NULL THEN '-infinity'
                      ELSE coalesce(l.newest_at, '-infinity') - make_interval(secs => (d.config #>> '{retention,scores_s}')::float8) END) AS at
      FROM tsad.dataset d
      LEFT JOIN LATERAL (SELECT max(newest_at) AS newest_at FROM tsad.ingest_hour h WHERE h.dataset_id = d.dataset_id) l ON true) h,
     tsad.drop_partitions_before('score_block', h.at) AS m(name)
