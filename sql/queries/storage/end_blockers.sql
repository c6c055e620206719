-- Sessions that a session waits for; those of people who only read are ended.
SELECT pid, login, since, is_pipeline, ended FROM tsad.end_blockers(%(waiting_pid)s)
