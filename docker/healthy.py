"""Exit code 0 when a component is well: `healthy.py api-server|scheduler|dag-processor|<name of a
Celery worker>`.

Airflow's own `airflow jobs check` says the same and costs ten CPU-seconds each time; this costs a
fraction of one.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from typing import Any
from urllib.parse import urljoin

# Within the healthcheck's own minute, with the start of this program.
TIMEOUT_S = 40
# Names in the answer of /monitor/health.
KEYS = {"api-server": "metadatabase", "scheduler": "scheduler", "dag-processor": "dag_processor"}


def main(name: str) -> int:
    """The exit code for the component `name`."""
    try:
        return 0 if (_is_healthy(KEYS[name]) if name in KEYS else _answers(name)) else 1
    except OSError as error:
        print(error, file=sys.stderr)
        return 1


def _is_healthy(key: str) -> bool:
    # The first request that a task makes builds the routes of all versions, for 6 CPU-seconds in
    # which nobody is answered. Asked here, it is over before any task starts.
    _answer("health")
    return bool(_answer("/api/v2/monitor/health")[key]["status"] == "healthy")


def _answer(path: str) -> dict[str, Any]:
    url = urljoin(os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"], path)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=TIMEOUT_S) as response:
        return dict(json.load(response))


def _answers(node: str) -> bool:
    """Whether the Celery worker answers a ping through the broker."""
    from celery import Celery  # type: ignore[import-untyped]
    from kombu.exceptions import OperationalError

    app = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"])
    try:
        return bool(app.control.inspect(destination=[node], timeout=TIMEOUT_S / 2).ping())
    except OperationalError as error:
        raise OSError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
