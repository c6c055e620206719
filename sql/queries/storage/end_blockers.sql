-- Sessions that a session waits for; those of people are ended: at once where it waits for an advisory lock, else when it is due.
SELECT b.pid, b.login, b.since, b.is_pipeline, b.ended
FROM (
  SELECT WHERE %(is_due)s OR EXISTS (SELECT FROM pg_locks l WHERE l.pid = %(waiting_pid)s AND l.locktype = 'advisory' AND NOT l.granted)) w,
  LATERAL tsad.end_blockers(%(waiting_pid)s) b
