"""Exit code 0 when a component is well: `healthy.py api-server|scheduler|dag-processor|<name of a Celery worker>`.

Airflow's own `airflow jobs check` says the same and costs ten CPU-seconds each time; this costs a fraction of one.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from urllib.parse import urljoin

TIMEOUT_S = 10
# Names in the answer of /monitor/health.
KEYS = {"api-server": "metadatabase", "scheduler": "scheduler", "dag-processor": "dag_processor"}


def main(name: str) -> int:
    """The exit code for the component `name`."""
    return 0 if (_is_healthy(KEYS[name]) if name in KEYS else _answers(name)) else 1


def _is_healthy(key: str) -> bool:
    url = urljoin(os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"], "/api/v2/monitor/health")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_S) as response:
            return bool(json.load(response)[key]["status"] == "healthy")
    except OSError as error:
        print(error, file=sys.stderr)
        return False


def _answers(node: str) -> bool:
    """Whether the Celery worker answers a ping through the broker."""
    from celery import Celery  # type: ignore[import-untyped]
    from kombu.exceptions import OperationalError

    app = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"])
    try:
        return bool(app.control.inspect(destination=[node], timeout=TIMEOUT_S / 2).ping())
    except OperationalError as error:
        print(error, file=sys.stderr)
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
