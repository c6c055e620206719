-- Incidents that begin together are one group, and say which way their channel went.
ALTER TABLE tsad.incident
  ADD COLUMN direction text CHECK (direction IN ('rise', 'fall')),
  ADD COLUMN group_id text;
CREATE INDEX incident_group_id ON tsad.incident (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX incident_continues ON tsad.incident (continues) WHERE continues IS NOT NULL;
COMMENT ON COLUMN tsad.incident.direction IS 'Which way the reading that the sentence tells left what was expected; NULL: it did not, it is no number that rises and falls, or nobody knows.';
COMMENT ON COLUMN tsad.incident.group_id IS 'The group of incidents with which it began; NULL: it began alone or with one other machine.';

CREATE TABLE tsad.incident_group (
  group_id       text PRIMARY KEY,
  dataset_id     int NOT NULL REFERENCES tsad.dataset,
  lineage        text NOT NULL,
  started_at     timestamptz NOT NULL,
  n_entities     int NOT NULL,
  n_all_entities int NOT NULL,
  headline       text NOT NULL,
  updated_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON tsad.incident_group (dataset_id, lineage, started_at);
COMMENT ON TABLE tsad.incident_group IS 'Incidents of at least three machines that began within 15 minutes of the first. The id is a hash of dataset, lineage, first machine and first flag.';
GRANT SELECT, INSERT, UPDATE, DELETE ON tsad.incident_group TO tsad_writer;
