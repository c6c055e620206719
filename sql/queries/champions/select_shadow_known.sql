-- Known anomalies that lie in a range, by where they are known from: how many, and those flagged by the challenger and by the champion.
WITH said AS (
  SELECT v.entity_id, v.start_at, v.end_at, v.verdict FROM tsad.verdict v
  WHERE v.entity_id = ANY(%(entity_ids)s::int[]) AND v.withdrawn_at IS NULL
    AND NOT EXISTS (SELECT FROM tsad.verdict w WHERE w.entity_id = v.entity_id AND w.withdrawn_at IS NULL
      AND w.verdict_id > v.verdict_id AND w.start_at < v.end_at AND w.end_at > v.start_at)),
known AS (
  -- What a person called normal is none, unless a person has set the label.
  SELECT 'label' AS known_by, l.entity_id, l.start_at, l.end_at FROM tsad.label l
  WHERE l.entity_id = ANY(%(entity_ids)s::int[]) AND (l.origin = 'person' OR NOT EXISTS (
    SELECT FROM said s WHERE s.entity_id = l.entity_id AND s.verdict IN ('false_alarm', 'new_normal')
      AND s.start_at < l.end_at AND s.end_at > l.start_at))
  UNION ALL
  SELECT 'verdict', s.entity_id, s.start_at, s.end_at FROM said s
  WHERE s.verdict = 'confirmed'
    AND NOT EXISTS (SELECT FROM tsad.label l WHERE l.entity_id = s.entity_id AND l.start_at < s.end_at AND l.end_at > s.start_at))
SELECT k.known_by, count(*)::int AS n_known,
       (count(*) FILTER (WHERE EXISTS (
          SELECT FROM tsad.anomaly a
          WHERE a.entity_id = k.entity_id AND a.model_id = %(model_id)s AND a.superseded_at = 'infinity'
            AND a.at >= k.start_at AND a.at < k.end_at)))::int AS n_challenger,
       (count(*) FILTER (WHERE EXISTS (
          SELECT FROM tsad.anomaly a
          JOIN tsad.champion_period p ON p.model_id = a.model_id AND p.lineage = %(lineage)s
            AND a.hour_at >= p.valid_from AND a.hour_at < p.valid_to
          WHERE a.entity_id = k.entity_id AND a.superseded_at = 'infinity' AND a.at >= k.start_at AND a.at < k.end_at)))::int AS n_champion
FROM known k
WHERE k.start_at >= %(start_at)s AND k.end_at <= %(end_at)s
GROUP BY k.known_by
