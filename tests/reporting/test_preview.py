"""What a person sees before a training, and the row that says what came of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from upath import UPath

from tests.plants.weeks import MACHINE, Weeks, week
from tsad_tasks.base.errors import BadInput, NothingToDo
from tsad_tasks.feedback.labels import add_label
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.reporting.exploration.preview import (
    Answer,
    PreviewSummary,
    decide_training,
    preview_run,
)
from tsad_tasks.storage.store import Store
from tsad_tasks.training.prepare import find_exclusions, make_features, make_windows
from tsad_tasks.training.retrain import Retraining

NOW = datetime(2026, 4, 1, tzinfo=UTC)
DECISIONS = (
    "SELECT decision, decided_by, n_readings, n_entities, left_out, jumps "
    "FROM tsad.v_training_decision"
)


@pytest.fixture
def weeks(warehouse_uri: str, tmp_path: Path) -> Weeks:
    """A champion of the first week; in the second one it is ten degrees warmer, and three hours are
    a known fault.
    """
    made = Weeks.filled(warehouse_uri, tmp_path)
    made.train(week(1))
    made.shift(week(1), week(2), by=10)
    made.execute(
        "UPDATE plant.metrics SET load = NULL WHERE at >= %s AND at < %s", week(1), week(1, 42)
    )
    return made


def asked(weeks: Weeks, store: Store) -> tuple[Retraining, PreviewSummary]:
    """The second week's training, as far as a person is asked."""
    ingest_interval(store, weeks.config, weeks.uri, start_at=week(1), end_at=week(2))
    add_label(store, "plant", MACHINE, week(1, 50), week(1, 53), kind="leak")
    run = Retraining(
        store, weeks.config, week(2), UPath(weeks.folder / "asked"), UPath(weeks.folder)
    )
    for task in (find_exclusions, make_features, make_windows):
        task(run)
    return run, preview_run(run)


def test_a_preview_tells_what_is_learned_left_out_missing_and_what_moved(weeks: Weeks) -> None:
    with Store.connect(weeks.uri) as store:
        _, shown = asked(weeks, store)
    assert (shown.n_readings, shown.n_entities) == (7 * 144 - 4 * 6, 1)
    assert (
        shown.left_out
        == {"label": pytest.approx(shown.excluded_share)}
        == {"label": pytest.approx(24 / 1008)}
    )
    assert shown.missing_share == 0.25
    jump = shown.jumps[0]
    assert (jump["entity"], jump["channel"]) == (MACHINE, "temperature")
    assert jump["now"] - jump["before"] == pytest.approx(10, abs=0.5)
    assert f"| {MACHINE} | temperature |" in shown.table
    assert "| load | 25.0 % |" in shown.table
    assert "| label | 24 | 2.4 % |" in shown.table
    assert Path(shown.pdf).read_bytes().startswith(b"%PDF")


def test_an_answer_is_a_row_with_what_was_shown_however_often_it_is_written(weeks: Weeks) -> None:
    with Store.connect(weeks.uri) as store:
        run, shown = asked(weeks, store)
        yes = Answer(True, "ada", "looked at it", NOW)
        assert [decide_training(run, yes) for _ in range(2)] == [{"approved_by": "ada"}] * 2
    numbers = (
        shown.n_readings,
        shown.n_entities,
        shown.left_out,
        json.loads(json.dumps(shown.jumps)),
    )
    assert weeks.execute(DECISIONS) == [("approved", "ada", *numbers)]


def test_a_training_that_is_stopped_does_nothing_more_and_may_be_asked_about_again(
    weeks: Weeks,
) -> None:
    with Store.connect(weeks.uri) as store:
        run, _ = asked(weeks, store)
        with pytest.raises(NothingToDo, match=r"training of plant was stopped by ada \(too warm\)"):
            decide_training(run, Answer(False, "ada", "too warm", NOW))
        decide_training(run, Answer(True, "bob", "it is summer", datetime(2026, 4, 2, tzinfo=UTC)))
    said = weeks.execute(
        "SELECT decision, decided_by, reason FROM tsad.v_training_decision ORDER BY decided_at"
    )
    assert said == [("stopped", "ada", "too warm"), ("approved", "bob", "it is summer")]


def test_without_a_champion_nothing_has_moved(warehouse_uri: str, tmp_path: Path) -> None:
    weeks = Weeks.filled(warehouse_uri, tmp_path)
    with Store.connect(weeks.uri) as store:
        _, shown = asked(weeks, store)
    assert shown.jumps == []
    assert "No champion to compare with" in shown.table


def test_a_training_that_would_leave_out_too_much_is_a_row_once_and_with_another_share_again(
    weeks: Weeks,
) -> None:
    with Store.connect(weeks.uri) as store:
        ingest_interval(store, weeks.config, weeks.uri, start_at=week(1), end_at=week(2))
        run = Retraining(
            store, weeks.config, week(2), UPath(weeks.folder / "stopped"), UPath(weeks.folder)
        )
        for n_hours in (24, 24, 48):
            add_label(store, "plant", MACHINE, week(1, 50), week(1, 50 + n_hours), kind="leak")
            with pytest.raises(
                BadInput, match="Expected at most 10% of the running steps of plant"
            ):
                find_exclusions(run)
    said = weeks.execute(
        "SELECT decision, decided_by, n_readings, excluded_share, missing_share, left_out "
        "FROM tsad.v_training_decision ORDER BY decision_id"
    )
    n_left = [7 * 144 - 6 * (n_hours + 1) for n_hours in (24, 48)]
    shares = {n: pytest.approx(1 - n / 1008) for n in n_left}
    assert said == [
        ("stopped", "exclusions", n, share, None, {"label": share}) for n, share in shares.items()
    ]
