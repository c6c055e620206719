-- Name, category and full name of types, in their order; of a domain those of what it is made of.
SELECT t.typname, t.typcategory::text, format_type(t.oid, NULL)
FROM unnest(%s::oid[]) WITH ORDINALITY AS o(oid, at)
JOIN pg_type d ON d.oid = o.oid
JOIN pg_type t ON t.oid = CASE WHEN d.typtype = 'd' THEN d.typbasetype ELSE d.oid END
ORDER BY o.at
