"""A logger that sends less often makes noisier means, and no alarms; a fault is found as before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from upath import UPath

from devstack.postgres import Cluster
from tests.plants.weeks import MACHINE, Weeks, copied_weeks, filled_weeks, week
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.model.noise import noise_growth

# Ten readings a step until then, and one from then on.
CHANGED_AT, FAULT = week(1, 24), (week(1, 130), week(1, 142))
DENSE = """
INSERT INTO plant.metrics
SELECT at + k * interval '1 min', machine,
       temperature + 0.5 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()),
       50 + 5 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())
FROM (SELECT setseed(0.3)) s, generate_series(1, 9) k, plant.metrics WHERE at < %s
"""
SCORES = "SELECT at, error, threshold, score FROM tsad.scores('plant', %s, %s, %s) ORDER BY at"


@pytest.fixture(scope="module")
def trained(
    cluster: Cluster, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Weeks]:
    with filled_weeks(cluster, template_database, tmp_path_factory.mktemp("weeks")) as made:
        made.execute(DENSE, CHANGED_AT)
        made.shift(*FAULT)
        made.train(week(1))
        yield made


@pytest.fixture
def weeks(cluster: Cluster, trained: Weeks, tmp_path: Path) -> Iterator[Weeks]:
    with copied_weeks(cluster, trained, tmp_path) as made:
        yield made


def _spec(weeks: Weeks) -> dict[str, Any]:
    ((uri, sha256),) = weeks.execute("SELECT artifact_uri, sha256 FROM tsad.model")
    return dict(read_bundle(UPath(uri), expected_sha256=sha256).spec)


def test_the_bundle_says_how_many_readings_its_steps_have(weeks: Weeks) -> None:
    noise = _spec(weeks)["noise"][MACHINE]
    assert noise["readings"] == [10.0, 10.0]
    # Of the temperature's deviations from its mean nearly all is its daily cycle.
    assert noise["shares"] == pytest.approx([0.035, 1], rel=0.2)


def test_fewer_readings_raise_no_alarm_and_a_fault_among_them_does(weeks: Weeks) -> None:
    weeks.score(week(1), week(2))
    assert weeks.flagged_share(week(1), CHANGED_AT) < 0.02
    assert weeks.flagged_share(CHANGED_AT, FAULT[0]) < 0.02
    assert weeks.flagged_share(*FAULT) > 0.9
    told = weeks.execute(
        "SELECT hour_at, channel, detail FROM tsad.v_quality WHERE verdict = 'sampling_changed' "
        "ORDER BY 2"
    )
    detail = (
        "a reading every 1 min before, every 10 min for two hours; readings per step 10 before, 1 "
        "now"
    )
    assert told == [(week(1, 25), name, detail) for name in ("load", "temperature")]


def test_without_numbers_of_readings_the_same_hours_are_full_of_flags(weeks: Weeks) -> None:
    weeks.score(week(1), week(1, 100))
    weeks.execute("UPDATE tsad.reading_block SET n_values = NULL RETURNING 1")
    weeks.execute("DELETE FROM tsad.score_block RETURNING 1")
    weeks.score(week(1), week(1, 100))
    assert weeks.flagged_share(CHANGED_AT, week(1, 100)) > 0.1


def test_the_default_detector_follows_readings_per_step_too(
    cluster: Cluster, template_database: str, tmp_path: Path
) -> None:
    default = {"detector": {"name": "conditional_residuals"}, "threshold": {}}
    with filled_weeks(cluster, template_database, tmp_path, **default) as weeks:
        weeks.execute(DENSE, CHANGED_AT)
        weeks.shift(*FAULT, by=6)
        weeks.train(week(1))
        weeks.score(week(1), FAULT[1])
        assert _spec(weeks)["noise_power"] == 0
        assert weeks.flagged_share(week(1), FAULT[0]) < 0.005
        assert weeks.flagged_share(*FAULT) > 0.9


def test_hours_in_any_order_have_the_same_scores(weeks: Weeks) -> None:
    asked = MACHINE, week(1, 20), week(1, 30)
    weeks.score(week(1), week(1, 30))
    at_once = weeks.execute(SCORES, *asked)
    weeks.execute("DELETE FROM tsad.score_block RETURNING 1")
    for hour in (27, 24, 22, 20, 21, 29, 23, 25, 28, 26):
        weeks.score(week(1, hour), week(1, hour + 1))
    assert weeks.execute(SCORES, *asked) == at_once
    assert len(at_once) == 60


def test_growth_is_of_the_steps_of_a_window_alone_and_never_below_one() -> None:
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 9, (2, 40, 3))
    known, learned = rng.random((2, 40)) < 0.9, np.array([[6.0, 0.0, 2.0]] * 2)
    shares = np.array([[1.0, 1.0, 0.5]] * 2)
    found = noise_growth(counts, known, learned, shares, 5, 1)
    for i, t, k in np.ndindex(2, 35, 3):
        grown = [
            1 + shares[i, k] * (learned[i, k] / max(counts[i, s, k], 1) - 1)
            if known[i, s] and learned[i, k] / max(counts[i, s, k], 1) >= 1.5
            else 1.0
            for s in range(t + 1, t + 6)
        ]
        assert found[i, t + 5, k] == pytest.approx(np.mean(grown) ** 0.5)
    assert (found >= 1).all()
    later = noise_growth(counts[:, 7:], known[:, 7:], learned, shares, 5, 1)
    assert np.array_equal(found[:, 11:], later[:, 4:])
