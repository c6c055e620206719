#!/usr/bin/env bash
# Airflow: the context that tells a DAG file for which task it is parsed stays set after the parsing.
# Guess: _airflow_parsing_context_manager, which sets two environment variables for a with block, takes them back at its
#   end; so the next DAG file that is parsed in the process is parsed for nobody, and makes all of its DAGs.
# Version: Airflow 3.3.2 (apache-airflow-core and its task SDK, no database).
# Seen: it puts back only values that were there before. Where none were, which is the usual case, get_parsing_context()
#   names the DAG and task of the block from then on, in subprocesses too: a file that follows the manual's advice and
#   makes only the named DAG leaves all others out.
# Source: Airflow manual, "Dynamic Dag Generation" (optimizing parsing by get_parsing_context).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check apache-airflow-core==3.3.2
cd "$work"
AIRFLOW_HOME="$work/airflow" v/bin/python - <<'PY'
import logging, sys
logging.disable(logging.WARNING)
from airflow.sdk import get_parsing_context
from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager
before = get_parsing_context()
with _airflow_parsing_context_manager(dag_id="room.score", task_id="ingest"):
    pass
after = get_parsing_context()
print("expected: None None, before and after")
print("seen:    ", *before, "before;", *after, "after")
wanted = [(None, None), ("room.score", "ingest")]
sys.exit(0 if [tuple(before), tuple(after)] == wanted else "The behaviour has changed.")
PY
