-- What the page asks of 100,000 incidents: what lasts into a span of time, and what people said of it.
CREATE INDEX incident_last_flag ON tsad.incident (lineage, last_flag_at) WHERE superseded_by IS NULL AND withdrawn_at IS NULL;
CREATE INDEX verdict_span ON tsad.verdict (entity_id, end_at, start_at) WHERE withdrawn_at IS NULL;
CREATE INDEX triage_span ON tsad.triage (entity_id, end_at, start_at);
