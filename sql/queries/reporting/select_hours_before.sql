-- Hours with a score in each of several periods of the same length; the newest first.
SELECT p.start_at, count(b.hour_at) AS n_hours
FROM generate_series(%(start_at)s::timestamptz - %(n)s::int * %(length)s::interval, %(start_at)s::timestamptz - %(length)s::interval, %(length)s::interval) AS p (start_at)
LEFT JOIN (
  SELECT b.hour_at
  FROM tsad.score_block b
  JOIN tsad.entity e USING (entity_id)
  JOIN tsad.champion_period c ON c.model_id = b.model_id AND c.lineage = %(lineage)s AND b.hour_at >= c.valid_from AND b.hour_at < c.valid_to
  WHERE e.dataset_id = %(dataset_id)s AND b.superseded_at = 'infinity' AND b.thresholds IS NOT NULL
    AND b.hour_at >= %(start_at)s::timestamptz - %(n)s::int * %(length)s::interval AND b.hour_at < %(start_at)s::timestamptz) b
  ON b.hour_at >= p.start_at AND b.hour_at < p.start_at + %(length)s::interval
GROUP BY p.start_at
ORDER BY p.start_at DESC
