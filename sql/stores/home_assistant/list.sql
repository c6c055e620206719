-- Entities whose newest state is a number, with its unit. A home has no machines: the part before the dot is the group.
SELECT m.metadata_id::text AS metadata_id, split_part(m.entity_id, '.', 1) AS grp, 'home' AS entity,
       split_part(m.entity_id, '.', 2) AS channel,
       CASE WHEN a.shared_attrs ~ '"unit_of_measurement"' THEN a.shared_attrs::json ->> 'unit_of_measurement' END AS unit,
       NULL::bigint AS step_s, true AS is_on_change, NULL::bigint AS heartbeat_s, NULL::bigint AS keeps_s,
       NULL::timestamptz AS valid_from, NULL::timestamptz AS valid_to, NULL::text AS read
FROM states_meta m
JOIN LATERAL (
  SELECT s.state, s.attributes_id FROM states s
  WHERE s.metadata_id = m.metadata_id AND s.state NOT IN ('unavailable', 'unknown', '')
  ORDER BY s.last_updated_ts DESC LIMIT 1
) newest ON newest.state ~ '^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$' OR newest.state IN ('on', 'off')
LEFT JOIN state_attributes a ON a.attributes_id = newest.attributes_id
