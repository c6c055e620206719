#!/bin/sh
# Redis keeps nothing on disk: a message that is lost is a task that Airflow queues again.
# The configuration goes in by stdin: on a command line, others could read the password.
set -eu
exec redis-server - <<END
requirepass $REDIS_PASSWORD
bind ${REDIS_BIND:-*}
port ${REDIS_PORT:-6379}
save ""
appendonly no
maxmemory 200mb
maxmemory-policy noeviction
END
