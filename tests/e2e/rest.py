"""Airflow's REST interface, as far as these tests need it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Refused(AssertionError):
    """An answer of 400 and more."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Rest:
    """A login to the api-server at `url`."""

    url: str
    token: str = field(repr=False)

    @classmethod
    def login(cls, url: str, username: str, password: str) -> Rest:
        """A session of that user."""
        answer = cls(url, "").send(
            "POST", "/auth/token", {"username": username, "password": password}
        )
        return cls(url, str(answer["access_token"]))

    def send(self, method: str, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer to one request; an answer of 400 and more is an error that quotes it."""
        headers = {"content-type": "application/json"} | (
            {"authorization": f"Bearer {self.token}"} if self.token else {}
        )
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with _OPENER.open(request, timeout=30) as response:
                return dict(json.load(response))
        except urllib.error.HTTPError as error:
            answer = f"{method} {path}: {error.code} {error.read().decode()[:500]}"
            raise Refused(error.code, answer) from error

    def page(self, path: str) -> str:
        """The text of a page for who is logged in."""
        headers = {"authorization": f"Bearer {self.token}"}
        with _OPENER.open(
            urllib.request.Request(self.url + path, headers=headers), timeout=30
        ) as response:
            return str(response.read().decode())

    def unpause(self, dag_id: str) -> None:
        """Let the DAG run, as soon as it is known."""
        wait_for(f"the DAG {dag_id}", lambda: self._is_serialized(dag_id), timeout_s=90)
        self.send("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def _is_serialized(self, dag_id: str) -> bool:
        """A DAG is listed a moment before it can be triggered, and before it has versions."""
        try:
            return bool(self.send("GET", f"/api/v2/dags/{dag_id}/dagVersions")["dag_versions"])
        except Refused as refused:
            if refused.code != 404:
                raise
            return False

    def trigger(self, dag_id: str, logical_date: datetime) -> str:
        """Id of a run by hand."""
        content = {"logical_date": logical_date.isoformat()}
        return str(self.send("POST", f"/api/v2/dags/{dag_id}/dagRuns", content)["dag_run_id"])

    def backfill(self, dag_id: str, first_at: datetime, last_at: datetime) -> None:
        """Start a backfill of the runs whose logical dates are from `first_at` to `last_at`, both
        included.

        The scheduler closes the one before some time after its last run, and a DAG has one at a
        time.
        """
        wait_for(
            "the backfill before to be closed",
            lambda: not self._open_backfills(dag_id),
            timeout_s=90,
        )
        span = {"from_date": first_at.isoformat(), "to_date": last_at.isoformat()}
        content = {
            "dag_id": dag_id,
            **span,
            "max_active_runs": 4,
            "reprocess_behavior": "none",
            "dag_run_conf": {},
        }
        self.send("POST", "/api/v2/backfills", content)

    def _open_backfills(self, dag_id: str) -> list[int]:
        found = self.send("GET", f"/api/v2/backfills?dag_id={dag_id}")["backfills"]
        return [one["id"] for one in found if one["completed_at"] is None]

    def run_states(self, dag_id: str, first_at: datetime, last_at: datetime) -> list[str]:
        """States of the runs with these logical dates."""
        span = f"logical_date_gte={_quoted(first_at)}&logical_date_lte={_quoted(last_at)}"
        runs = self.send("GET", f"/api/v2/dags/{dag_id}/dagRuns?limit=100&{span}")["dag_runs"]
        return [str(run["state"]) for run in runs]

    def task_tries(self, dag_id: str, first_at: datetime, last_at: datetime) -> list[int]:
        """How often each task of these runs was tried."""
        span = f"logical_date_gte={_quoted(first_at)}&logical_date_lte={_quoted(last_at)}"
        path = f"/api/v2/dags/{dag_id}/dagRuns/~/taskInstances?limit=500&{span}"
        return [int(one["try_number"]) for one in self.send("GET", path)["task_instances"]]

    def wait_until_done(
        self, dag_id: str, first_at: datetime, last_at: datetime, n_runs: int, timeout_s: float
    ) -> None:
        """Wait for that many runs to succeed; a run that fails ends the wait."""

        def done() -> bool:
            states = self.run_states(dag_id, first_at, last_at)
            assert "failed" not in states, states
            return states == ["success"] * n_runs

        wait_for(f"{n_runs} successful runs of {dag_id}", done, timeout_s=timeout_s)


def wait_for(what: str, is_there: Callable[[], bool], *, timeout_s: float) -> None:
    """Look twice a second until it is there."""
    deadline_s = time.monotonic() + timeout_s
    while not is_there():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"Expected {what} within {timeout_s} s. Received: nothing.")
        time.sleep(0.5)


def _quoted(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
