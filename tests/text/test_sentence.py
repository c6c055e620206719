"""The sentence of an incident says what happened in the words of its channel."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from tsad_tasks.text.sentence import (
    incident_sentence,
    is_usual_share,
    quiet_sentence,
    shares_sentence,
    state_sentence,
)

quick = settings(max_examples=100, deadline=None, derandomize=True)
anything = st.none() | st.floats()
CPU = {"entity": "web-02", "channel": "CPU", "unit": "%"}
RANGE = {"expected": 41.8, "lower": 38.8, "upper": 44.8}


def test_a_reading_over_its_range_rose() -> None:
    assert (
        incident_sentence(**CPU, actual=97.1, **RANGE)
        == "web-02: CPU rose to 97.1 %; 41.8 ± 3.0 % was expected"
    )


def test_a_reading_under_its_range_fell() -> None:
    assert (
        incident_sentence(**CPU, actual=3.14, **RANGE)
        == "web-02: CPU fell to 3.1 %; 41.8 ± 3.0 % was expected"
    )


def test_without_a_range_the_error_is_named() -> None:
    sentence = incident_sentence(**CPU, actual=97.1, expected=41.8, error_ratio=4.2)
    assert sentence == "web-02: CPU rose to 97.1 %; error 4.20 times its threshold"


def test_without_a_reading_the_error_is_named() -> None:
    sentence = incident_sentence(**CPU, actual=math.nan, **RANGE, error_ratio=4.2)
    assert sentence == "web-02: error 4.20 times its threshold, most of it from CPU"


def test_a_reading_inside_its_range_is_not_called_a_rise() -> None:
    sentence = incident_sentence(**CPU, actual=42.0, **RANGE, error_ratio=1.5)
    assert "inside the expected 41.8 ± 3.0 %" in sentence
    assert "error 1.50 times its threshold" in sentence


@quick
@given(anything, anything, anything, anything, anything)
def test_any_numbers_give_one_line_that_names_the_entity(
    actual: float | None,
    expected: float | None,
    lower: float | None,
    upper: float | None,
    error_ratio: float | None,
) -> None:
    band = {"expected": expected, "lower": lower, "upper": upper}
    sentence = incident_sentence(**CPU, actual=actual, **band, error_ratio=error_ratio)
    assert sentence.startswith("web-02: ")
    assert "\n" not in sentence
    assert "nan" not in sentence.lower()


def test_unknown_shares_are_admitted() -> None:
    assert shares_sentence(["CPU", "disk"], [math.nan, math.nan]) == (
        "How the error spreads over the channels is not known."
    )


def test_an_empty_list_proves_that_work_was_done() -> None:
    assert (
        quiet_sentence(192, 192, 0.41)
        == "No incidents. 192 hours scored, highest error 0.41 × its threshold."
    )
    assert "could not be scored" in quiet_sentence(190, 192, 0.41)
    assert "nothing was scored" in quiet_sentence(0, 192, None)


def test_a_share_is_told_from_0_to_1() -> None:
    valve = {"entity": "boiler-2", "channel": "valve", "state": "open"}
    assert (
        state_sentence(**valve, actual=1.0, expected=0.02)
        == "boiler-2: valve was open 100 % of the time, usually 2 %"
    )
    assert state_sentence(**valve, actual=0.0, expected=1.046).endswith("usually 100 %")


def test_a_share_that_rounds_to_what_is_usual_says_nothing() -> None:
    assert is_usual_share(0.0, -0.3)
    assert is_usual_share(1.0, 1.046)
    assert not is_usual_share(0.04, 0.0)


def test_a_reading_that_fits_the_others_is_a_change_of_load_only_where_the_model_tells() -> None:
    load = {**CPU, "error_ratio": 1.5, "tells_load": True}
    assert incident_sentence(**load, actual=42.0, **RANGE).endswith(
        "which fits the other channels (41.8 ± 3.0 %): a change of load (error 1.50 times its "
        "threshold)"
    )
    assert "load" not in incident_sentence(**load, actual=97.1, **RANGE)
