-- Known anomalies that lie in a range, and how many of them the challenger and the champion flagged.
SELECT count(*)::int AS n_labels,
       (count(*) FILTER (WHERE EXISTS (
          SELECT FROM tsad.anomaly a
          WHERE a.entity_id = l.entity_id AND a.model_id = %(model_id)s AND a.superseded_at = 'infinity'
            AND a.at >= l.start_at AND a.at < l.end_at)))::int AS n_challenger,
       (count(*) FILTER (WHERE EXISTS (
          SELECT FROM tsad.anomaly a
          JOIN tsad.champion_period p ON p.model_id = a.model_id AND p.lineage = %(lineage)s
            AND a.hour_at >= p.valid_from AND a.hour_at < p.valid_to
          WHERE a.entity_id = l.entity_id AND a.superseded_at = 'infinity' AND a.at >= l.start_at AND a.at < l.end_at)))::int AS n_champion
FROM tsad.label l
WHERE l.entity_id = ANY(%(entity_ids)s::int[]) AND l.start_at >= %(start_at)s AND l.end_at <= %(end_at)s
