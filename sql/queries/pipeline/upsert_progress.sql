-- Takes what follows the intervals that are done, unless another run is at it; of a dataset's first run its own interval follows.
INSERT INTO tsad.scoring_progress AS p (dataset_id, done_until, taken_by, taken_at)
SELECT d.dataset_id,
       coalesce((SELECT max(r.end_at) FROM tsad.run_status r
                 WHERE r.dataset_id = d.dataset_id AND r.step = 'incidents' AND r.state = 'done' AND r.run_id LIKE %(scheduled)s),
                %(first_at)s::timestamptz),
       %(run_id)s::text, clock_timestamp()
FROM tsad.dataset d WHERE d.dataset_id = %(dataset_id)s
ON CONFLICT (dataset_id) DO UPDATE
  SET (taken_by, taken_at) = (
    SELECT t.taken_by, t.taken_at
    FROM (VALUES (p.taken_by, p.taken_at, p.taken_by <> EXCLUDED.taken_by AND p.taken_at > clock_timestamp() - interval '30 minutes'),
                 (EXCLUDED.taken_by, EXCLUDED.taken_at, true)) AS t(taken_by, taken_at, counts)
    WHERE t.counts LIMIT 1)
RETURNING done_until, taken_by = %(run_id)s AS is_taken
