-- What sensors of a dataset can show, of channels with a range that are no angles; NULL: no end.
SELECT c.key AS channel, (c.value -> 'sensor_range' ->> 0)::float8 AS least, (c.value -> 'sensor_range' ->> 1)::float8 AS most
FROM tsad.dataset d
CROSS JOIN LATERAL jsonb_array_elements(d.config -> 'sources') s
CROSS JOIN LATERAL jsonb_each(s -> 'channels') c
WHERE d.dataset_id = %(dataset_id)s AND c.value ->> 'signal' <> 'angle'
