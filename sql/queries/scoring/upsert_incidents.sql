-- Writes incidents; unchanged content writes nothing, and what was withdrawn may come back.
INSERT INTO tsad.incident AS t (incident_id, lineage, entity_id, policy_version, model_id, started_at, last_flag_at, n_flags, kind,
  severity, peak_score, peak_at, top_channel_id, sentence, provisional, continues, unknown_weekdays, held, direction, moved)
SELECT u.incident_id, %(lineage)s, u.entity_id, %(policy_version)s, u.model_id, u.started_at, u.last_flag_at, u.n_flags, u.kind,
  u.severity, u.peak_score, u.peak_at, u.top_channel_id, u.sentence, u.provisional, u.continues,
  u.unknown_weekdays, u.held, u.direction, u.moved
FROM unnest(%(incident_id)s::text[], %(entity_id)s::int[], %(model_id)s::int[], %(started_at)s::timestamptz[],
  %(last_flag_at)s::timestamptz[], %(n_flags)s::int[], %(kind)s::text[], %(severity)s::text[], %(peak_score)s::real[],
  %(peak_at)s::timestamptz[], %(top_channel_id)s::int[], %(sentence)s::text[], %(provisional)s::boolean[],
  %(continues)s::text[], %(unknown_weekdays)s::text[], %(held)s::boolean[], %(direction)s::text[], %(moved)s::text[])
  AS u(incident_id, entity_id, model_id, started_at, last_flag_at, n_flags, kind, severity, peak_score, peak_at, top_channel_id,
       sentence, provisional, continues, unknown_weekdays, held, direction, moved)
ON CONFLICT (incident_id) DO UPDATE
  SET model_id = EXCLUDED.model_id, started_at = EXCLUDED.started_at, last_flag_at = EXCLUDED.last_flag_at,
      n_flags = EXCLUDED.n_flags, kind = EXCLUDED.kind, severity = EXCLUDED.severity, peak_score = EXCLUDED.peak_score,
      peak_at = EXCLUDED.peak_at, top_channel_id = EXCLUDED.top_channel_id, sentence = EXCLUDED.sentence,
      provisional = EXCLUDED.provisional, continues = EXCLUDED.continues,
      unknown_weekdays = EXCLUDED.unknown_weekdays, held = EXCLUDED.held, direction = EXCLUDED.direction, moved = EXCLUDED.moved, superseded_by = NULL, withdrawn_at = NULL, updated_at = clock_timestamp()
  WHERE (t.model_id, t.last_flag_at, t.n_flags, t.kind, t.severity, t.peak_score, t.peak_at, t.top_channel_id, t.sentence,
         t.provisional, t.continues, t.unknown_weekdays, t.held, t.direction, t.moved, t.superseded_by, t.withdrawn_at)
    IS DISTINCT FROM (EXCLUDED.model_id, EXCLUDED.last_flag_at, EXCLUDED.n_flags, EXCLUDED.kind, EXCLUDED.severity,
         EXCLUDED.peak_score, EXCLUDED.peak_at, EXCLUDED.top_channel_id, EXCLUDED.sentence, EXCLUDED.provisional, EXCLUDED.continues,
         EXCLUDED.unknown_weekdays, EXCLUDED.held, EXCLUDED.direction, EXCLUDED.moved,
         NULL, NULL)
