"""A training never learns an outage; what people call normal it does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from devstack.postgres import Cluster
from tests.plants.weeks import (
    CONFIG,
    MACHINE,
    Weeks,
    config_of,
    copied_weeks,
    filled_weeks,
    week,
)
from tsad_tasks.base.errors import BadInput
from tsad_tasks.base.interval import Interval
from tsad_tasks.config import DatasetConfig
from tsad_tasks.feedback.labels import add_label
from tsad_tasks.feedback.verdicts import set_verdict
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.model.features import fit_scaler
from tsad_tasks.storage.store import Store
from tsad_tasks.training.exclusions import exclusions_of
from tsad_tasks.training.reader import TrainingReader, training_range, training_scopes
from tsad_tasks.training.windows import entity_training

# Half a day of the held-out part of the second week; the same fault a week later.
OUTAGE, AGAIN = (week(1, 130), week(1, 142)), (week(2, 130), week(2, 142))


@pytest.fixture(scope="module")
def scored(
    cluster: Cluster, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Weeks]:
    """Two weeks, the first of which was learned; in the second there was an outage, in the third
    the same fault.
    """
    with filled_weeks(cluster, template_database, tmp_path_factory.mktemp("weeks")) as made:
        for fault in (OUTAGE, AGAIN):
            made.shift(*fault)
        made.train(week(1))
        made.score(week(1), week(2))
        yield made


@pytest.fixture
def weeks(cluster: Cluster, scored: Weeks, tmp_path: Path) -> Iterator[Weeks]:
    with copied_weeks(cluster, scored, tmp_path) as made:
        yield made


def _unlearned_high_scores(weeks: Weeks) -> None:
    """Switches the rule of high scores off."""
    training = weeks.config.training.model_copy(update={"high_score_lasting_s": 10**7})
    weeks.config = weeks.config.model_copy(update={"training": training})


def _say(weeks: Weeks, verdict: str) -> None:
    with Store.connect(weeks.uri) as store:
        set_verdict(store, weeks.longest_incident(), verdict, said_by="ada")


def test_without_any_exclusion_the_outage_is_learned_and_the_same_fault_missed(
    weeks: Weeks,
) -> None:
    _unlearned_high_scores(weeks)
    summary = weeks.train(week(2))
    weeks.score(week(2), week(3))
    assert summary.failed_rules == []
    assert weeks.excluded(summary.model_id) == {}
    assert weeks.flagged_share(*AGAIN) < 0.2


def test_a_confirmed_outage_is_not_learned_and_the_same_fault_found_a_week_later(
    weeks: Weeks,
) -> None:
    _unlearned_high_scores(weeks)
    _say(weeks, "confirmed")
    summary = weeks.train(week(2))
    weeks.score(week(2), week(3))
    assert weeks.excluded(summary.model_id) == {"verdict: confirmed": 72 + 6}
    assert weeks.flagged_share(*AGAIN) > 0.9


def test_an_outage_that_nobody_spoke_of_is_not_learned_for_its_high_scores(weeks: Weeks) -> None:
    summary = weeks.train(week(2))
    weeks.score(week(2), week(3))
    assert weeks.excluded(summary.model_id) == {"high score": 72 + 6}
    assert weeks.flagged_share(*AGAIN) > 0.9


@pytest.mark.parametrize("verdict", ["new_normal", "false_alarm"])
def test_what_is_normal_is_learned_whatever_it_scored(weeks: Weeks, verdict: str) -> None:
    _say(weeks, verdict)
    summary = weeks.train(week(2))
    weeks.score(week(2), week(3))
    assert weeks.excluded(summary.model_id).keys() <= {"high score"}
    assert weeks.flagged_share(*AGAIN) < 0.2


def test_the_latest_word_counts_and_a_withdrawn_one_does_not(weeks: Weeks) -> None:
    _unlearned_high_scores(weeks)
    for verdict in ("confirmed", "false_alarm"):
        _say(weeks, verdict)
    assert weeks.excluded(weeks.train(week(2)).model_id) == {}
    weeks.execute("SELECT tsad.withdraw_verdict(%s)", weeks.longest_incident())
    assert [verdict for _, verdict, *_ in weeks.incidents() if verdict] == ["confirmed"]
    assert weeks.excluded(weeks.train(week(2, 1)).model_id) == {"verdict: confirmed": 72 + 6}


def test_a_new_normal_wins_over_labels_of_the_source_but_not_of_a_person(weeks: Weeks) -> None:
    label = "SELECT tsad.add_label('plant', %s, %s, %s, origin => %s)"
    weeks.execute(label, MACHINE, *OUTAGE, "file")
    assert weeks.excluded(weeks.train(week(2)).model_id) == {"label: anomaly": 72 + 6}
    _say(weeks, "new_normal")
    assert "label: anomaly" not in weeks.excluded(weeks.train(week(2, 1)).model_id)
    with Store.connect(weeks.uri) as store:
        add_label(store, "plant", MACHINE, *OUTAGE)
    assert weeks.excluded(weeks.train(week(2, 2)).model_id)["label: anomaly"] == 72 + 6


def test_a_lasting_shift_stops_the_retraining_until_it_is_the_new_normal(
    warehouse_uri: str, tmp_path: Path
) -> None:
    made = Weeks.filled(warehouse_uri, tmp_path)
    made.shift(week(1, 60), week(6))
    made.train(week(1))
    made.score(week(1), week(2))
    with pytest.raises(BadInput, match="high score 64"):
        made.train(week(2))
    _say(made, "new_normal")
    assert made.train(week(2)).gate_passed
    made.score(week(2), week(3))
    assert made.flagged_share(week(2), week(3)) < 0.02


def test_of_two_labels_that_the_range_cuts_the_longer_is_the_row(weeks: Weeks) -> None:
    for hours in (1, 2):
        weeks.execute(
            "SELECT tsad.add_label('plant', 'm-1', %s, %s)", week(1, -hours), week(1, hours)
        )
    reasons = weeks.excluded(weeks.train(week(2)).model_id)
    assert reasons["label: anomaly"] == 12 + 3


def test_maintenance_is_not_learned_with_its_margins(weeks: Weeks) -> None:
    add = """
      SELECT tsad.add_maintenance(
        'plant', %s, %s, 'filter', margin_before_s => 3600, margin_after_s => 1800)"""
    weeks.execute(add, *OUTAGE)
    reasons = weeks.excluded(weeks.train(week(2)).model_id)
    assert reasons["maintenance 1: filter"] == 72 + 6 + 3


def test_a_training_that_would_leave_out_too_much_stops_and_says_why(weeks: Weeks) -> None:
    with Store.connect(weeks.uri) as store:
        add_label(store, "plant", MACHINE, week(1), week(1, 20))
    with pytest.raises(
        BadInput, match=r"at most 10% of the running steps .* 19\.\d%: label 12\.\d%|label 12"
    ) as stopped:
        weeks.train(week(2))
    assert "(label 12.2%, high score 7.7%). Look: tsad explore plant --training." in str(
        stopped.value
    )
    assert weeks.execute("SELECT count(*) FROM tsad.model") == [(1,)]


def test_extreme_values_are_counted_a_row_for_each_entity(
    warehouse_uri: str, tmp_path: Path
) -> None:
    made = Weeks.filled(
        warehouse_uri,
        tmp_path,
        detector={"name": "isolation_forest", "window": 2},
        threshold={"kind": "percentile"},
    )
    made.shift(week(0, 10), week(0, 10.2), by=1e6)
    summary = made.train(week(1))
    assert made.excluded(summary.model_id) == {"extreme values": 2}


def _read_again(weeks: Weeks, start_at: datetime, end_at: datetime) -> None:
    with Store.connect(weeks.uri) as store:
        span = {"start_at": start_at, "end_at": end_at}
        ingest_interval(store, weeks.config, weeks.uri, **span, force=True)


def _with_load(weeks: Weeks, **keys: Any) -> DatasetConfig:
    channels = {"temperature": {"unit": "°C"}, "load": {"unit": "%", **keys}}
    return config_of(source={**CONFIG["source"], "channels": channels})


def test_hours_that_were_read_otherwise_are_not_learned(weeks: Weeks) -> None:
    _unlearned_high_scores(weeks)
    weeks.config = _with_load(weeks, no_value=-9999)
    with pytest.raises(
        BadInput, match=r"Received: 0.0.*read by other settings.*tsad datasets check plant"
    ):
        weeks.train(week(2))
    _read_again(weeks, week(1, 12), week(2))
    excluded = weeks.excluded(weeks.train(week(2)).model_id)
    assert excluded["other settings: channels.load.no_value"] == 12 * 6


@pytest.mark.parametrize("case", ["unknown settings", "a sensor's range", "a new channel"])
def test_what_was_not_read_otherwise_is_learned(weeks: Weeks, case: str) -> None:
    keys = {"no_value": -9999} if case == "unknown settings" else {"sensor_range": [-9e9, 9e9]}
    weeks.config = _with_load(weeks, **keys)
    if case == "unknown settings":
        weeks.execute("UPDATE tsad.ingest_hour SET settings = NULL")
    if case == "a new channel":
        weeks.execute("ALTER TABLE plant.metrics ADD flow float8 DEFAULT 1")
        channels = {"temperature": {"unit": "°C"}, "load": {"unit": "%"}, "flow": {}}
        weeks.config = config_of(source={**CONFIG["source"], "channels": channels})
    excluded = weeks.excluded(weeks.train(week(2)).model_id)
    assert not [reason for reason in excluded if reason.startswith("other settings")]


def _bad(weeks: Weeks, channel: str, n_hours: int, verdict: str = "unit_jump") -> None:
    """A sensor out of order in the first hours of the second week."""
    weeks.execute(
        "INSERT INTO tsad.quality SELECT e.entity_id, h, c.channel_id, %s, 6, '' "
        "FROM tsad.entity e JOIN tsad.channel c USING (dataset_id), "
        "generate_series(%s::timestamptz, %s::timestamptz - interval '1 hour', '1 hour') h "
        "WHERE e.name = %s AND c.name = %s",
        verdict,
        week(1),
        week(1, n_hours),
        MACHINE,
        channel,
    )


def test_a_sensor_out_of_order_is_left_out_alone_and_stops_no_training(weeks: Weeks) -> None:
    _unlearned_high_scores(weeks)
    first, *others = weeks.config.channel_names
    assert others
    _bad(weeks, first, 60)
    summary = weeks.train(week(2))
    assert weeks.excluded(summary.model_id) == {f"quality: unit_jump of {first}": 360}
    rows = weeks.execute("SELECT channel, n_steps FROM tsad.v_exclusion WHERE model_id = %s",
                      summary.model_id)  # fmt: skip
    assert rows == [(first, 360)]


def test_the_other_channels_of_these_hours_are_learned(weeks: Weeks) -> None:
    first, *_ = weeks.config.channel_names
    with Store.connect(weeks.uri) as store:
        (scope,) = training_scopes(store, weeks.config)
        span = training_range(weeks.config, week(2))
        plain = exclusions_of(store, weeks.config, scope, span)
        ends = Interval(week(1), week(1, 3))
        (key,) = [key for name, key in scope.entities if name == MACHINE]
        before = TrainingReader.of_store(store, weeks.config, span, plain).clean(key, ends)
    _bad(weeks, first, 2)
    with Store.connect(weeks.uri) as store:
        found = exclusions_of(store, weeks.config, scope, span)
        reader = TrainingReader.of_store(store, weeks.config, span, found)
        values, usable = reader.clean(key, ends)
        windows = [
            entity_training(one, key, fit_scaler(before[0], "robust"), 10**6,
                            one.values(key, span.whole)).n_available
            for one in (reader, TrainingReader.of_store(store, weeks.config, span, plain))
        ]  # fmt: skip
    assert (values[:12, 0] != values[:12, 0]).all()
    assert np.array_equal(values[:, 1:], before[0][:, 1:])
    assert np.array_equal(values[12:], before[0][12:])
    assert usable.all()
    assert before[1].all()
    # Windows within these hours are learned without the channel; those across an end are not.
    assert windows[0] == windows[1] - (reader.spec.width - 1)


def test_a_model_does_not_score_a_channel_that_is_something_else_now(weeks: Weeks) -> None:
    weeks.config = _with_load(weeks, signal="counter")
    weeks.score(week(2), week(2, 2))
    asked = "SELECT status, detail FROM tsad.v_status WHERE hour_at >= %s AND hour_at < %s"
    found = weeks.execute(asked, week(2), week(2, 2))
    assert [status for status, _ in found] == ["failed", "failed"]
    assert "load was gauge and is counter now" in found[0][1]
    assert "run the DAG plant.retrain" in found[0][1]
