-- What was built on a view or function of ours, directly or by way of something else, as Postgres names it.
WITH RECURSIVE dependent AS (
  SELECT c.oid AS built_on, d.classid, d.objid
  FROM (SELECT 'pg_class'::regclass AS classid, oid FROM pg_class WHERE relnamespace = to_regnamespace('tsad') AND relname = %(name)s
        UNION ALL
        SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = to_regnamespace('tsad') AND proname = %(name)s) c
  JOIN pg_depend d ON d.refclassid = c.classid AND d.refobjid = c.oid AND d.deptype = 'n'
  UNION
  SELECT r.ev_class, d.classid, d.objid
  FROM dependent x
  JOIN pg_rewrite r ON x.classid = 'pg_rewrite'::regclass AND r.oid = x.objid
  JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = r.ev_class AND d.deptype = 'n')
SELECT DISTINCT CASE WHEN r.oid IS NULL THEN pg_describe_object(x.classid, x.objid, 0)
                     ELSE pg_describe_object('pg_class'::regclass, r.ev_class, 0) END AS dependent
FROM dependent x
LEFT JOIN pg_rewrite r ON x.classid = 'pg_rewrite'::regclass AND r.oid = x.objid
WHERE r.ev_class IS DISTINCT FROM x.built_on
ORDER BY 1
