-- Which maintenance window holds each of some incidents; unchanged content writes nothing.
UPDATE tsad.incident t SET suppressed_by = u.suppressed_by, updated_at = clock_timestamp()
FROM unnest(%(incident_id)s::text[], %(suppressed_by)s::text[]) AS u(incident_id, suppressed_by)
WHERE t.incident_id = u.incident_id AND t.suppressed_by IS DISTINCT FROM u.suppressed_by
