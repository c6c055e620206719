-- What roles other than ours may do with our views and functions, as statements that grant it.
SELECT format('GRANT %%s ON %%s TO %%s%%s', a.privilege_type, o.object, a.grantee::regrole,
              CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS statement
FROM (SELECT oid::regclass::text AS object, relowner AS owner, relacl AS acl
      FROM pg_class WHERE relnamespace = to_regnamespace('tsad') AND relkind = 'v'
      UNION ALL
      SELECT 'FUNCTION ' || oid::regprocedure, proowner, proacl FROM pg_proc WHERE pronamespace = to_regnamespace('tsad')) o
CROSS JOIN LATERAL aclexplode(o.acl) AS a
WHERE a.grantee NOT IN (0, o.owner) AND a.grantee::regrole::text NOT IN ('tsad_writer', 'tsad_reader')
ORDER BY 1
