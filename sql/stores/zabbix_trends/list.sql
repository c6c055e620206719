-- Of Zabbix's items those whose hours are kept. A mean of whole numbers is cut to one there.
SELECT s.itemid, s.grp, s.entity, s.channel, s.unit, 3600::bigint AS step_s, s.is_on_change, s.heartbeat_s,
       CASE WHEN i.trends ~ '^\d+[smhdw]?$' THEN
         substring(i.trends FROM '^\d+')::bigint
         * CASE right(i.trends, 1) WHEN 'm' THEN 60 WHEN 'h' THEN 3600 WHEN 'd' THEN 86400 WHEN 'w' THEN 604800 ELSE 1 END
       END AS keeps_s,
       s.valid_from, s.valid_to, s.read
FROM (
{series}
) s
JOIN items i ON i.itemid = s.itemid::bigint
WHERE i.trends !~ '^0'
