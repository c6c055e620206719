CREATE OR REPLACE VIEW tsad.v_outside_experience AS
  SELECT d.name AS dataset, e.name AS entity, c.name AS channel, c.unit, s.lineage, s.started_at, s.ended_at, s.n_hours
  FROM (
    SELECT n.entity_id, n.channel_id, n.lineage, min(n.hour_at) AS started_at, max(n.hour_at) + interval '1 hour' AS ended_at,
           count(*)::int AS n_hours
    FROM (
      SELECT m.*, count(*) FILTER (WHERE m.is_first) OVER (PARTITION BY m.entity_id, m.channel_id, m.lineage ORDER BY m.hour_at) AS episode
      FROM (
        SELECT b.entity_id, o.channel_id, p.lineage, b.hour_at,
               -- What ended less than a day before goes on.
               b.hour_at > coalesce(lag(b.hour_at) OVER (PARTITION BY b.entity_id, o.channel_id, p.lineage ORDER BY b.hour_at), '-infinity')
                           + interval '1 day' AS is_first
        FROM tsad.score_block b
        JOIN tsad.champion_period p ON p.model_id = b.model_id AND b.hour_at >= p.valid_from AND b.hour_at < p.valid_to
          AND p.lineage IN ('live', 'replay')
        CROSS JOIN LATERAL unnest(b.outside) AS o (channel_id)
        WHERE b.outside IS NOT NULL AND b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL) m) n
    GROUP BY n.entity_id, n.channel_id, n.lineage, n.episode) s
  JOIN tsad.entity e ON e.entity_id = s.entity_id
  JOIN tsad.dataset d ON d.dataset_id = e.dataset_id
  JOIN tsad.channel c ON c.channel_id = s.channel_id;

COMMENT ON VIEW tsad.v_outside_experience IS 'A row each time that a setpoint, load or ambient condition went outside of what training saw, however long that lasts.';
COMMENT ON COLUMN tsad.v_outside_experience.dataset IS 'Name of the dataset file.';
COMMENT ON COLUMN tsad.v_outside_experience.entity IS 'The machine or host.';
COMMENT ON COLUMN tsad.v_outside_experience.channel IS 'The channel whose role is setpoint, load or ambient.';
COMMENT ON COLUMN tsad.v_outside_experience.unit IS 'Unit of the channel.';
COMMENT ON COLUMN tsad.v_outside_experience.lineage IS 'live: what people see; replay: what backfilled retrainings would have said.';
COMMENT ON COLUMN tsad.v_outside_experience.started_at IS 'Beginning of the first hour of which half was outside.';
COMMENT ON COLUMN tsad.v_outside_experience.ended_at IS 'End of the last such hour; after features.learned_after without a break it is known, and so no longer outside.';
COMMENT ON COLUMN tsad.v_outside_experience.n_hours IS 'Such hours; breaks of less than a day do not end it.';

GRANT SELECT ON tsad.v_outside_experience TO tsad_writer, tsad_reader;
