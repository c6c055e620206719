#!/usr/bin/env bash
# Airflow: two runs with the same logical date cover different hours, by who started them; and a cron schedule covers
#   no time at all.
# Guess: logical_date 10:00 of an hourly DAG is [10:00, 11:00), scheduled, backfilled or by hand; "0 * * * *" means
#   such intervals.
# Version: Airflow 3.3.2 (apache-airflow-core, timetables called directly, no database).
# Seen: CronDataIntervalTimetable: scheduled [10, 11), by hand at logical date 10:00 [09, 10). CronTriggerTimetable,
#   which a plain cron string means since Airflow 3 (create_cron_data_intervals = False): data_interval_start =
#   data_interval_end, a task that reads it gets no rows.
# Source: Airflow manual, "Timetables" (differences between the cron timetables), configuration reference.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check apache-airflow-core==3.3.2
cd "$work"
AIRFLOW_HOME="$work/airflow" v/bin/python - <<'PY'
import logging, sys
logging.disable(logging.WARNING)
import pendulum
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
from airflow.timetables.trigger import CronTriggerTimetable
at = pendulum.datetime(2026, 1, 1, 10)
seen = {}
for kind in (CronDataIntervalTimetable, CronTriggerTimetable):
    table = kind("0 * * * *", timezone="UTC")
    run = table.next_dagrun_info(last_automated_data_interval=None, restriction=TimeRestriction(at, None, True))
    intervals = {"scheduled": run.data_interval, "by hand": table.infer_manual_data_interval(run_after=at)}
    seen[kind.__name__] = {who: f"{part.start:HH:mm} to {part.end:HH:mm}" for who, part in intervals.items()}
    assert run.logical_date == at, run
print("expected: logical date 10:00 covers 10:00 to 11:00, always")
print("seen:    ", seen)
wanted = {"CronDataIntervalTimetable": {"scheduled": "10:00 to 11:00", "by hand": "09:00 to 10:00"},
          "CronTriggerTimetable": {"scheduled": "10:00 to 10:00", "by hand": "10:00 to 10:00"}}
sys.exit(0 if seen == wanted else "The behaviour has changed.")
PY
