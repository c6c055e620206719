-- Hourly means, and the readings of counters, with their units; another program's statistics have a colon in their id.
SELECT m.id::text AS metadata_id, split_part(m.statistic_id, '.', 1) AS grp, 'home' AS entity, split_part(m.statistic_id, '.', 2) AS channel,
       nullif(m.unit_of_measurement, '') AS unit, 3600::bigint AS step_s, false AS is_on_change, NULL::bigint AS heartbeat_s,
       NULL::bigint AS keeps_s, NULL::timestamptz AS valid_from, NULL::timestamptz AS valid_to, NULL::text AS read
FROM statistics_meta m
WHERE m.statistic_id LIKE '%.%'
