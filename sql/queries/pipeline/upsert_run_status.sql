-- What a step of a run did, or why it did not.
INSERT INTO tsad.run_status (dataset_id, run_id, step, shard, start_at, end_at, state, message, counts, seconds, finished_at)
VALUES (%(dataset_id)s, %(run_id)s, %(step)s, %(shard)s, %(start_at)s, %(end_at)s, %(state)s, %(message)s, %(counts)s::jsonb, %(seconds)s,
        clock_timestamp())
ON CONFLICT (dataset_id, run_id, step, shard) DO UPDATE
  SET start_at = EXCLUDED.start_at, end_at = EXCLUDED.end_at, state = EXCLUDED.state, message = EXCLUDED.message,
      counts = EXCLUDED.counts, seconds = EXCLUDED.seconds, finished_at = EXCLUDED.finished_at
