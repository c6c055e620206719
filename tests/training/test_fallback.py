"""Without a champion a simpler detector stands in for what was refused; of what nothing could be
tested a person decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from upath import UPath

from tests.plants.weeks import CONFIG, WEEK, Weeks, week
from tsad_tasks.base.enums import Stage
from tsad_tasks.base.rule import RULES
from tsad_tasks.champions.champions import RegisterSummary, promote
from tsad_tasks.champions.no_champion import no_champion
from tsad_tasks.cli.training import show_gate
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining
from tsad_tasks.training.rules.base import GateEvidence, GateRule, Measured

FALLBACK = CONFIG["training"] | {"fallback": ["seasonal_profile", "level"]}
MODELS = "SELECT version, detector, state FROM tsad.v_model ORDER BY 1"
HISTORY = "SELECT version, decision, reason FROM tsad.v_model_history ORDER BY decided_at, version"


@pytest.fixture
def refused() -> Iterator[set[str]]:
    """Detectors, by name, that a rule refuses."""
    names: set[str] = set()

    @GateRule(title="liked", limit=1.0, note="liked")
    def liked(evidence: GateEvidence) -> Measured:
        """Is liked."""
        return Measured(float(evidence.config.detector.name not in names))

    yield names
    del RULES[Stage.GATE]._variants[liked.name]


@pytest.fixture
def weeks(warehouse_uri: str, tmp_path: Path) -> Weeks:
    return Weeks.filled(warehouse_uri, tmp_path, training=FALLBACK)


def trained(weeks: Weeks, end_at: datetime) -> list[RegisterSummary]:
    """What became of a training on the week before a moment."""
    weeks.n_trained += 1
    folder = UPath(weeks.folder / f"run_{weeks.n_trained}")
    with Store.connect(weeks.uri) as store:
        span = {"start_at": end_at - WEEK, "end_at": end_at}
        ingest_interval(store, weeks.config, weeks.uri, **span)
        return retrain(Retraining(store, weeks.config, end_at, folder, UPath(weeks.folder)))


def test_the_next_detector_takes_the_place_of_a_refused_one_and_both_decisions_are_rows(
    weeks: Weeks, refused: set[str]
) -> None:
    refused |= {"three_sigma", "seasonal_profile"}
    summaries = trained(weeks, week(1))
    assert [one.failed_rules for one in summaries] == [["liked"], ["liked"], []]
    assert weeks.execute(MODELS) == [
        (1, "three_sigma", "gate failed"),
        (2, "seasonal_profile", "gate failed"),
        (3, "level", "champion"),
    ]
    assert weeks.execute(HISTORY) == [
        (1, "gate_failed", "liked"),
        (2, "gate_failed", "liked"),
        (3, "promoted", "the first champion"),
    ]
    weeks.score(week(1), week(1, 2))
    status = "SELECT DISTINCT status FROM tsad.v_status WHERE lineage = 'live'"
    assert weeks.execute(status) == [("scored",)]
    # With a champion there is nobody to stand in.
    assert [one.failed_rules for one in trained(weeks, week(2))] == [["liked"]]


def test_where_all_are_refused_there_is_one_reason(weeks: Weeks, refused: set[str]) -> None:
    refused |= {"three_sigma", "seasonal_profile", "level"}
    assert len(trained(weeks, week(1))) == 3
    with Store.connect(weeks.uri) as store, store.transaction():
        missing = no_champion(store, select_dataset(store, "plant"))
    assert missing is not None
    assert missing.sentence.endswith("so nothing is scored: version 3 did not pass its gate.")
    assert "liked: 0.0, limit at least 1.00" in missing.text


def test_of_what_nothing_could_be_tested_a_person_decides(
    weeks: Weeks, capsys: pytest.CaptureFixture[str]
) -> None:
    weeks.execute("UPDATE plant.metrics SET temperature = 20, load = 50")
    (summary,) = trained(weeks, week(1))
    assert (summary.gate_passed, summary.waits_for_person, summary.valid_from) == (True, True, None)
    assert weeks.execute(MODELS) == [(1, "three_sigma", "waits for person")]
    reason = "no injected anomaly could be tested"
    assert weeks.execute(HISTORY) == [(1, "waits_for_person", reason)]
    with Store.connect(weeks.uri) as store:
        show_gate(store, "plant", summary)
        said = " ".join(capsys.readouterr().out.split())
        assert f"Model 1 waits for you: {reason}" in said
        assert 'tsad promote plant 1 --why "…" # to use it' in said
        promote(store, weeks.config, 1, by="ann", reason="looks right")
    assert weeks.execute(MODELS) == [(1, "three_sigma", "champion")]
