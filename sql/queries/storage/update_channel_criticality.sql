-- How much depends on channels of a dataset: on those named so much, on the others as usual; unchanged content writes nothing.
UPDATE tsad.channel c SET criticality = coalesce(u.criticality, 'normal')
FROM tsad.channel x LEFT JOIN unnest(%(names)s::text[], %(criticality)s::text[]) AS u(name, criticality) USING (name)
WHERE x.dataset_id = %(dataset_id)s AND c.channel_id = x.channel_id AND c.criticality <> coalesce(u.criticality, 'normal')
