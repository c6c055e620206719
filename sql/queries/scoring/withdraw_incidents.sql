-- Takes back incidents that the flags no longer give; superseded_by names what took their place, if anything did.
UPDATE tsad.incident t SET superseded_by = u.superseded_by, withdrawn_at = clock_timestamp(), updated_at = clock_timestamp()
FROM unnest(%(incident_id)s::text[], %(superseded_by)s::text[]) AS u(incident_id, superseded_by)
WHERE t.incident_id = u.incident_id AND t.withdrawn_at IS NULL
