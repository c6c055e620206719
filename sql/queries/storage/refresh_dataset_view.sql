-- The dataset's view readings_<dataset>, where it lacks a column or what is to be said of one: whoever refreshed it may have had to leave it.
SELECT tsad.refresh_dataset_view(%(dataset_id)s)
FROM tsad.dataset d
LEFT JOIN pg_class v ON v.relnamespace = 'tsad'::regnamespace AND v.relname = ('readings_' || d.name)::name
WHERE d.dataset_id = %(dataset_id)s
  AND (v.relnatts IS DISTINCT FROM 3 + (SELECT max(cardinality(l.channel_ids)) FROM tsad.layout l WHERE l.dataset_id = d.dataset_id)
    OR EXISTS (
      SELECT FROM tsad.channel c JOIN pg_attribute a ON a.attrelid = v.oid AND a.attname = c.name::name
      WHERE c.dataset_id = d.dataset_id
        AND col_description(v.oid, a.attnum) IS DISTINCT FROM nullif(concat_ws('. ', 'Unit: ' || c.unit, 'Not in the dataset file since '
          || to_char(c.removed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC; what was read until then stays'), '')))
