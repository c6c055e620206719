-- Items with a table of numbers or of words; a home has no machines.
SELECT i.itemid::text AS itemid, coalesce(nullif(split_part(i.itemname, '_', 1), i.itemname), '(top)') AS grp, 'home' AS entity,
       i.itemname AS channel, NULL::text AS unit, NULL::bigint AS step_s, true AS is_on_change, NULL::bigint AS heartbeat_s,
       NULL::bigint AS keeps_s, NULL::timestamptz AS valid_from, NULL::timestamptz AS valid_to,
       format('SELECT %s AS itemid, "time", value::text AS value FROM %s', i.itemid, c.oid::regclass) AS read
FROM items i
JOIN pg_class c ON c.oid = coalesce(
  to_regclass('item' || lpad(i.itemid::text, 4, '0')),
  to_regclass(quote_ident(lower(i.itemname) || '_' || lpad(i.itemid::text, 4, '0'))),
  to_regclass(quote_ident(i.itemname))
)
