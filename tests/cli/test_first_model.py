"""A first model that its gate refuses: every command says that nothing is scored, why, and what
to do; and what to do works.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from tests.cli.test_commands import Tsad, tsad
from tests.plants.weeks import CONFIG, Weeks, week
from tests.receivers import webhook
from tests.reporting.pdf_text import ascii_text
from tests.statements import run
from tsad_tasks.base.errors import NothingToDo
from tsad_tasks.cli.training import REFUSED
from tsad_tasks.config import config_of
from tsad_tasks.pipeline.task import TASKS, TaskRun, run_task
from tsad_tasks.reporting.period.pdf import report_bytes
from tsad_tasks.reporting.period.report import period_content
from tsad_tasks.storage.store import Store

__all__ = ["tsad"]
# It flags every tenth reading, which is too much, and no model takes that little time.
NERVOUS = {"kind": "percentile", "percentile": 90, "combine": "max"}
STRICT = CONFIG["gate"] | {"max_false_alarm_share": 0, "max_latency_ms": 1e-9}
SENTENCE = "plant has no champion, so nothing is scored: version 1 did not pass its gate."
RETRAIN = ("retrain", "plant", "--end", f"{week(1):%Y-%m-%d}")
SPAN = ("--from", f"{week(1):%Y-%m-%dT%H:%M}", "--to", f"{week(1, 2):%Y-%m-%dT%H:%M}")
NEVER = ("No anomalies", "champion stays", "No incidents.")


@pytest.fixture
def weeks(tsad: Tsad, warehouse_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weeks:
    """Weeks of a machine that nothing was learned of yet, under a gate that refuses."""
    for name in ("TSAD_DATABASE_URI", "TSAD_CONNECTION_PLANT"):
        monkeypatch.setenv(name, warehouse_uri)
    _write(tmp_path, gate=STRICT)
    return Weeks.filled(warehouse_uri, tmp_path)


def _write(folder: Path, **changes: object) -> None:
    path = folder / "datasets" / "plant.yaml"
    path.write_text(yaml.safe_dump(CONFIG | {"threshold": NERVOUS} | changes), encoding="utf-8")


def _says_all(said: str) -> None:
    """Why, which rule of which machine and channel with numbers, and what to do."""
    assert SENTENCE in said
    assert "  latency_ms: " in said
    assert "  false_alarm_share: 0." in said
    assert ". Most: m-1 " in said
    assert "tsad promote plant 1 --why" in said
    assert [word for word in NEVER if word in said] == []


def test_before_any_training_it_is_said_what_to_do(tsad: Tsad, weeks: Weeks) -> None:
    said = tsad("score", "plant", *SPAN).out
    assert "plant has no champion, so nothing is scored: no model was trained yet." in said
    assert "  tsad retrain plant --end 2026-03-09T01:00Z\n" in said
    assert "no model was trained yet" in tsad("anomalies", "plant").out


def test_every_command_says_that_nothing_is_scored_and_why(
    tsad: Tsad, weeks: Weeks, tmp_path: Path
) -> None:
    for command in (
        RETRAIN,
        ("score", "plant", *SPAN),
        ("rescore", "plant", *SPAN),
        ("anomalies", "plant"),
        ("report", "plant", "--end", f"{week(1, 2):%Y-%m-%dT%H:%M}"),
        ("status",),
    ):
        said = tsad(*command)
        assert (said.code, "Error" in said.err) == (REFUSED if command is RETRAIN else 0, False)
        _says_all(said.out)
    with Store.connect(weeks.uri) as store:
        span = {"start_at": week(0), "end_at": week(1, 2), "generated_at": week(2)}
        document, _ = report_bytes(
            period_content(store, config_of("plant"), **span), compressed=False
        )
    shown = ascii_text(document).replace("\n", " ")
    assert "plant has no champion, so nothing is scored" in shown
    assert "Why nothing is scored" in shown
    assert "tsad promote plant 1" in shown
    assert "The champion stayed." not in shown


def test_tasks_and_message_say_the_same(
    tsad: Tsad, weeks: Weeks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tsad(*RETRAIN)
    with pytest.raises(NothingToDo) as skipped:
        _run("score", "features", weeks)
    _says_all(str(skipped.value))
    state, message = run(weeks.uri, "SELECT state, message FROM tsad.run_status")[-1]
    assert (state, message) == ("nothing_to_do", str(skipped.value))
    with webhook() as chat:
        monkeypatch.setenv("TSAD_CONNECTION_CHAT", f"http://127.0.0.1:{chat.port}/")
        _write(tmp_path, gate=STRICT, notifications={"targets": [{"webhook": "chat"}]})
        tsad("notify", "plant")
        (told,) = chat.receiver.said
    assert "There is no champion, so nothing is scored." in told["sentence"]
    assert ". Most: m-1 " in told["text"]
    assert [one for one in told["commands"] if one.startswith("tsad promote plant 1 ")]


def _run(dag: str, name: str, weeks: Weeks) -> None:
    """A task of the hour after the training."""
    (task,) = (one for one in TASKS if (one.dag, one.name) == (dag, name))
    at, params = (week(1), week(1, 1)), {"lineage": "live", "notify": False}
    work = TaskRun(
        config_of("plant"), f"plant.{dag}", "run", *at, params, {}, is_backfill=False, shard=-1,
        started_by="ada", uri_of=lambda _name: weeks.uri, send=lambda _message: None,
    )  # fmt: skip
    run_task(task, work, weeks.uri)


def test_each_way_on_leads_on(tsad: Tsad, weeks: Weeks, tmp_path: Path) -> None:
    said = tsad(*RETRAIN).out
    ways = [shlex.split(line, comments=True) for line in said.splitlines() if "  tsad " in line]
    assert [way[1] for way in ways] == ["explore", "retrain", "promote"]
    for way in ways:
        done = tsad(*way[1:])
        assert (done.code, "Error" in done.err) == (REFUSED if way[1] == "retrain" else 0, False), (
            way
        )
    scored = tsad("score", "plant", *SPAN).out
    assert "has no champion" not in scored
    assert run(weeks.uri, "SELECT DISTINCT status FROM tsad.v_status") == [("scored",)]
    assert "version 1" in tsad("status").out
    assert "did not pass" not in tsad("anomalies", "plant").out


def test_an_hour_before_the_first_champion_says_from_when_on_there_is_one(
    tsad: Tsad, weeks: Weeks, tmp_path: Path
) -> None:
    _write(tmp_path)
    tsad(*RETRAIN)
    before = ("--from", f"{week(0, 20):%Y-%m-%dT%H:%M}", "--to", f"{week(0, 21):%Y-%m-%dT%H:%M}")
    said = tsad("anomalies", "plant", *before).out
    assert "Nothing was scored in this range: what is in it is not known." in said
    assert "the first champion is one from 2026-03-09 00:00 UTC on." in said


def test_a_challenger_that_is_refused_leaves_the_champion(
    tsad: Tsad, weeks: Weeks, tmp_path: Path
) -> None:
    _write(tmp_path)
    tsad(*RETRAIN)
    _write(tmp_path, gate=STRICT)
    said = tsad("retrain", "plant", "--end", f"{week(2):%Y-%m-%d}").out
    assert "; the champion stays." in said
    assert "no champion, so" not in said
