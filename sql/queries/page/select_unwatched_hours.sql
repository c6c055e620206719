-- Hours of a dataset's machines in a range that have no score, as runs of hours of one status.
SELECT entity, status, min(hour_at) AS from_at, max(hour_at) + interval '1 hour' AS to_at, max(detail) AS detail
FROM (
  SELECT s.entity, s.status, s.hour_at, s.detail,
         s.hour_at - make_interval(hours => row_number() OVER (PARTITION BY s.entity, s.status ORDER BY s.hour_at)::int) AS run
  FROM tsad.v_status s
  WHERE s.dataset = %(dataset)s AND s.lineage = 'live' AND s.hour_at >= %(from_at)s AND s.hour_at < %(to_at)s
    AND s.status NOT IN ('scored', 'partial', 'unknown_entity_scale', 'off', 'waiting')) h
GROUP BY entity, status, run
ORDER BY entity, from_at
