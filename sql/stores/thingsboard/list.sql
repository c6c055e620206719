-- Keys of devices that have a newest value that is a number or a truth; device types are groups.
SELECT l.entity_id::text AS entity_id, l.key::text AS key, coalesce(nullif(d.type, ''), 'default') AS grp, d.name AS entity,
       k.key AS channel, NULL::text AS unit, NULL::bigint AS step_s, false AS is_on_change, NULL::bigint AS heartbeat_s,
       NULL::bigint AS keeps_s, NULL::timestamptz AS valid_from, NULL::timestamptz AS valid_to, NULL::text AS read
FROM ts_kv_latest l
JOIN device d ON d.id = l.entity_id
JOIN key_dictionary k ON k.key_id = l.key
WHERE l.long_v IS NOT NULL OR l.dbl_v IS NOT NULL OR l.bool_v IS NOT NULL
