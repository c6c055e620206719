-- How much depends on entities of a dataset: on those named so much, on the others as usual; unchanged content writes nothing.
UPDATE tsad.entity e SET criticality = coalesce(u.criticality, 'normal')
FROM tsad.entity x LEFT JOIN unnest(%(names)s::text[], %(criticality)s::text[]) AS u(name, criticality) USING (name)
WHERE x.dataset_id = %(dataset_id)s AND e.entity_id = x.entity_id AND e.criticality <> coalesce(u.criticality, 'normal')
