-- Numeric tags; one that was renamed or moved has an id for each of its times. The folder is the machine.
SELECT id::text AS tagid, coalesce(nullif(split_part(tagpath, '/', 1), tagpath), '(top)') AS grp,
       coalesce(nullif(regexp_replace(tagpath, '/?[^/]*$', ''), ''), '(top)') AS entity,
       regexp_replace(tagpath, '^.*/', '') AS channel, NULL::text AS unit, NULL::bigint AS step_s, true AS is_on_change,
       NULL::bigint AS heartbeat_s, NULL::bigint AS keeps_s, to_timestamp(created / 1000.0) AS valid_from,
       to_timestamp(retired / 1000.0) AS valid_to, NULL::text AS read
FROM sqlth_te
WHERE datatype IN (0, 1)
