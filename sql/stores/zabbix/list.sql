-- Numeric items of monitored hosts. Templates and prototypes are hosts and items of their own kinds, and hold no values.
-- One of a host in several groups is listed with each of them. A ! before a unit says that Zabbix is to write out large numbers.
SELECT i.itemid::text AS itemid, coalesce(g.name, '(no group)') AS grp, h.name AS entity, i.key_ AS channel, nullif(ltrim(i.units, '!'), '') AS unit,
       CASE WHEN i.delay ~ '^\d+[smhd]?$' AND i.delay !~ '^0' THEN
         substring(i.delay FROM '^\d+')::bigint * CASE right(i.delay, 1) WHEN 'm' THEN 60 WHEN 'h' THEN 3600 WHEN 'd' THEN 86400 ELSE 1 END
       END AS step_s,
       unchanged.is_discarded AS is_on_change, unchanged.heartbeat_s AS heartbeat_s,
       CASE WHEN i.history ~ '^\d+[smhdw]?$' THEN
         substring(i.history FROM '^\d+')::bigint
         * CASE right(i.history, 1) WHEN 'm' THEN 60 WHEN 'h' THEN 3600 WHEN 'd' THEN 86400 WHEN 'w' THEN 604800 ELSE 1 END
       END AS keeps_s,
       NULL::timestamptz AS valid_from, NULL::timestamptz AS valid_to, NULL::text AS read
FROM items i
JOIN hosts h ON h.hostid = i.hostid
LEFT JOIN hosts_groups m ON m.hostid = h.hostid
LEFT JOIN hstgrp g ON g.groupid = m.groupid
LEFT JOIN LATERAL (
  SELECT true AS is_discarded,
         max(CASE WHEN p.type = 20 AND p.params ~ '^\d+[smhd]?$' THEN
           substring(p.params FROM '^\d+')::bigint
           * CASE right(p.params, 1) WHEN 'm' THEN 60 WHEN 'h' THEN 3600 WHEN 'd' THEN 86400 ELSE 1 END
         END) AS heartbeat_s
  FROM item_preproc p WHERE p.itemid = i.itemid AND p.type IN (19, 20) HAVING count(*) > 0
) unchanged ON true
WHERE h.status = 0 AND h.flags IN (0, 4) AND i.status = 0 AND i.flags IN (0, 4) AND i.value_type IN (0, 3)
