"""What every registered detector with a state promises, on readings made here."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from tsad_tasks.base.arrays import Floats32
from tsad_tasks.detectors.base import Reconstruction
from tsad_tasks.detectors.bundle import read_bundle, write_bundle
from tsad_tasks.detectors.folding.fold import Series, State
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.detectors.folding.stored_state import joined_state, states_bytes
from tsad_tasks.detectors.registry import DETECTORS, build_detector, detector_class, load_detector

NAMES = [name for name in sorted(DETECTORS) if detector_class(name).folds]
MEMBER = {"member": {"name": "dense_autoencoder", "epochs": 1}}
CASES = [(name, "") for name in NAMES] + [("event_head", "with a member")]
N_CHANNELS, N_TRAINING, N_STEPS = 2, 120, 150
ENTITIES = ["pump", "fan", "mill"]
SECONDS = 300


def made_series(n_steps: int, seed: int, first: int = 0) -> Series:
    """Daily waves and noise, three entities of two channels."""
    steps = first + np.arange(n_steps)
    noise = np.random.default_rng(seed).normal(0, 0.3, (len(ENTITIES), n_steps, N_CHANNELS))
    waves = np.sin(2 * np.pi * steps * SECONDS / 86_400)[None, :, None] * [1.0, 0.2]
    return Series(20 + waves + noise, steps * SECONDS, SECONDS)


def part(series: Series, steps: slice, entities: slice = slice(None)) -> Series:
    return Series(series.values[entities, steps], series.local_s[steps], series.step_s)


@functools.cache
def fitted(case: tuple[str, str]) -> FoldDetector:
    name, member = case
    params = (MEMBER if member else {}) | {"n_commission": N_TRAINING}
    detector = build_detector(
        name, width=10, n_channels=N_CHANNELS, n_inputs=N_CHANNELS, params=params
    )
    detector.fit_series(ENTITIES, made_series(N_TRAINING, seed=1), seed=5)
    return detector


def case_name(case: tuple[str, str]) -> str:
    return " ".join(case).strip()


def only(cases: Iterable[tuple[str, str]]) -> pytest.MarkDecorator:
    """The detectors that a promise is about."""
    return pytest.mark.parametrize("detector", list(cases), indirect=True, ids=case_name)


# Windows of a member are unknown for a while after a gap, and its network learns from the last
# bits, too.
ALONE = [case for case in CASES if not case[1]]
SLOW = ("state_head", "drift_aware", "variance_change", "novelty")


@pytest.fixture(params=CASES, ids=case_name)
def detector(request: pytest.FixtureRequest) -> FoldDetector:
    return fitted(request.param)


@pytest.fixture(scope="module")
def series() -> Series:
    return made_series(N_STEPS, seed=2, first=N_TRAINING)


def series_errors(detector: FoldDetector, entities: list[str], series: Series) -> Floats32:
    """Errors of series that follow the anchor."""
    return advanced(detector, tuple(entities), series)[1].channel_errors


@functools.cache
def _once(
    case: tuple[FoldDetector, tuple[str, ...], bytes, bytes],
) -> list[tuple[State, Reconstruction]]:
    return []


def advanced(
    detector: FoldDetector, entities: tuple[str, ...], series: Series
) -> tuple[State, Reconstruction]:
    """What follows the anchor; found once for the same readings."""
    kept = _once((detector, entities, series.values.tobytes(), series.local_s.tobytes()))
    if not kept:
        kept.append(detector.advance(detector.start(entities), series))
    return kept[0]


def equal(left: State, right: State) -> bool:
    """Whether two states agree to the bit."""
    same = left.keys() == right.keys()
    return (
        same
        and all(left[name].dtype == right[name].dtype for name in left)
        and all(
            np.ascontiguousarray(left[name]).tobytes()
            == np.ascontiguousarray(right[name]).tobytes()
            for name in left
        )
    )


def same_bits(left: Reconstruction, right: Reconstruction) -> bool:
    return equal(vars(left), vars(right))


def pieces(found: list[Reconstruction]) -> Reconstruction:
    names = vars(found[0])
    return type(found[0])(
        **{name: np.concatenate([vars(each)[name] for each in found], axis=1) for name in names}
    )


def test_errors_and_expected_values_have_the_shape_of_the_readings(
    detector: FoldDetector, series: Series
) -> None:
    made = advanced(detector, tuple(ENTITIES), series)[1]
    for found in (made.channel_errors, made.expected):
        assert found.shape == series.values.shape
        assert found.dtype == np.float32
        assert np.isfinite(found).mean() > 0.7
    assert np.nanmin(made.channel_errors) >= 0


@pytest.mark.parametrize("cuts", [(1, 2, 63, 120)])
def test_cut_anywhere_the_errors_and_the_state_are_the_same(
    detector: FoldDetector, series: Series, cuts: tuple[int, ...]
) -> None:
    whole_state, whole = advanced(detector, tuple(ENTITIES), series)
    state, found = detector.start(ENTITIES), []
    for first, end in zip((0, *cuts), (*cuts, N_STEPS), strict=True):
        # What is stored between two hours is bytes.
        state = joined_state(states_bytes(state))
        state, made = detector.advance(state, part(series, slice(first, end)))
        found.append(made)
    assert same_bits(pieces(found), whole)
    assert equal(state, whole_state)


def test_alone_and_in_company_the_errors_are_the_same(
    detector: FoldDetector, series: Series
) -> None:
    alone = series_errors(detector, ENTITIES[1:2], part(series, slice(None), slice(1, 2)))
    assert alone.tobytes() == series_errors(detector, ENTITIES, series)[1:2].tobytes()


def test_the_given_state_and_the_readings_are_untouched(
    detector: FoldDetector, series: Series
) -> None:
    state, values = detector.start(ENTITIES), series.values.copy()
    kept = {name: array.copy() for name, array in state.items()}
    detector.advance(state, series)
    assert equal(state, kept)
    assert series.values.tobytes() == values.tobytes()


@only(ALONE)
def test_an_unknown_reading_leaves_its_entity_as_if_the_step_had_not_been(
    detector: FoldDetector, series: Series
) -> None:
    # Shorter than any average of residuals, which a silence ends.
    gap = slice(100, 102)
    values = np.insert(series.values, [gap.start] * 2, np.nan, axis=1)
    local_s = np.insert(series.local_s, [gap.start] * 2, 0)
    made = series_errors(detector, ENTITIES, Series(values, local_s, SECONDS))
    assert np.isnan(made[:, gap]).all()
    assert (
        np.delete(made, gap, axis=1).tobytes()
        == series_errors(detector, ENTITIES, series).tobytes()
    )


def test_a_dead_channel_is_unknown_and_the_other_goes_on(
    detector: FoldDetector, series: Series
) -> None:
    values = series.values.copy()
    values[:, 50:, 0] = np.nan
    errors = series_errors(detector, ENTITIES, Series(values, series.local_s, SECONDS))
    assert np.isnan(errors[:, 50:, 0]).all()
    assert np.isfinite(errors[:, 50:, 1]).mean() > 0.7


def test_an_entity_that_was_not_trained_on_commissions_itself_to_the_same_state(
    series: Series,
) -> None:
    for case in CASES[:-1]:
        detector, training = fitted(case), made_series(N_TRAINING, seed=1)
        state, made = detector.advance(detector.start(["new"] * len(ENTITIES)), training)
        assert np.isnan(made.channel_errors).all(), case
        assert equal(state, detector.start(ENTITIES)), case


@only(case for case in CASES if case[0] not in SLOW)
def test_a_spike_is_higher_than_all_usual_readings(detector: FoldDetector, series: Series) -> None:
    values = series.values.copy()
    values[1, 110, 0] += 40
    errors = series_errors(detector, ENTITIES, Series(values, series.local_s, SECONDS))[1, :, 0]
    assert 110 <= np.nanargmax(errors) < 146


def test_a_change_that_lasts_raises_the_error(detector: FoldDetector, series: Series) -> None:
    values = series.values.copy()
    values[:, 100:140] += np.where(np.arange(40) % 8 < 5, 8, -8)[:, None]
    errors = series_errors(detector, ENTITIES, Series(values, series.local_s, SECONDS))
    usual = series_errors(detector, ENTITIES, series)
    assert (
        np.nanmax(errors[:, 100:], axis=(1, 2)) > np.nanmax(usual[:, 20:100], axis=(1, 2))
    ).all()


@only(ALONE)
@pytest.mark.parametrize(("factor", "offset"), [(1.8, 32.0), (3.7e4, -1e6)])
def test_another_unit_of_the_sensor_changes_no_error(
    detector: FoldDetector, series: Series, factor: float, offset: float
) -> None:
    training = made_series(N_TRAINING, seed=1)
    converted = [
        Series(each.values * factor + offset, each.local_s, SECONDS) for each in (training, series)
    ]
    again = build_detector(
        detector.name, width=10, n_channels=2, n_inputs=2, params={"n_commission": N_TRAINING}
    )
    again.fit_series(ENTITIES, converted[0], seed=5)
    np.testing.assert_allclose(
        series_errors(again, ENTITIES, converted[1]),
        series_errors(detector, ENTITIES, series),
        rtol=1e-5,
        atol=1e-5,
    )


def test_odd_series_have_finite_errors(detector: FoldDetector) -> None:
    odd = np.stack([np.zeros(150), np.repeat([5.0, 6.0], 75), np.geomspace(1e-300, 1e300, 150)])
    series = Series(
        np.repeat(odd[..., None], N_CHANNELS, axis=2), np.arange(150) * SECONDS, SECONDS
    )
    errors = series_errors(detector, ["new", "newer", "newest"], series)
    assert np.isfinite(errors[:, N_TRAINING:]).any(axis=(1, 2)).all()
    assert not np.isinf(errors).any()


def test_saved_and_loaded_it_is_the_same(
    detector: FoldDetector, series: Series, tmp_path: Path
) -> None:
    detector.save(tmp_path / "model")
    loaded = load_detector(tmp_path / "model")
    assert loaded.to_files() == detector.to_files()
    assert (
        series_errors(loaded, ENTITIES, series).tobytes()
        == series_errors(detector, ENTITIES, series).tobytes()
    )


def test_a_bundle_holds_only_onnx_and_json(detector: FoldDetector, tmp_path: Path) -> None:
    sha256 = write_bundle(tmp_path / "bundle", detector, {"threshold": 0.1}, {"rows": 3})
    assert (
        read_bundle(tmp_path / "bundle", expected_sha256=sha256).detector.to_files()
        == detector.to_files()
    )
    for path in (tmp_path / "bundle").iterdir():
        assert path.suffix in (".onnx", ".npz") or json.loads(path.read_text(encoding="utf-8"))


def test_a_channels_state_is_small(detector: FoldDetector, series: Series) -> None:
    state = advanced(detector, tuple(ENTITIES), series)[0]
    assert len(states_bytes(state)[0]) <= 30_000 * N_CHANNELS


@pytest.mark.parametrize("name", NAMES)
def test_readings_alone_are_scored_on_a_clock_of_their_own(name: str) -> None:
    detector = build_detector(name, width=10, n_channels=N_CHANNELS, n_inputs=N_CHANNELS)
    series = made_series(N_TRAINING, seed=1)
    detector.fit_series([""], part(series, slice(None), slice(0, 1)), seed=0)
    scores = detector.score(series.values[1].astype(np.float32))
    assert scores.shape == (N_TRAINING,)
    assert (
        scores[:100].tobytes()
        == detector.score(series.values[1, :100].astype(np.float32)).tobytes()
    )
