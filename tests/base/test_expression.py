"""Expressions mean what they say, and nothing else can be said with them."""

from __future__ import annotations

import numpy as np
import pytest

from tsad_tasks.base.errors import ConfigError
from tsad_tasks.base.expression import channels_of, compile_expression

CHANNELS = {
    "speed": np.array([0.0, 50.0, 150.0]),
    "power": np.array([1.0, -2.0, 3.0]),
    "cpu %": np.array([5.0, 95.0, 50.0]),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("speed > 100", [False, False, True]),
        ("10 < speed <= 50 < 60", [False, True, False]),
        ("speed > 100 and power > 1 or power < 0", [False, True, True]),
        ("not (speed == 0 or power == 3)", [False, True, False]),
        ("abs(power) >= 2", [False, True, True]),
        ("speed / power > 40", [False, False, True]),
        ("speed + 2 * power - 1 != 1", [False, True, True]),
        ("-power > +1", [False, True, False]),
        ("`cpu %` > 90", [False, True, False]),
        ('ch("cpu %") > 90 or ch("speed") > 100', [False, True, True]),
        ("speed / 0 > 1", [False, True, True]),
        ("  speed >\t100  ", [False, False, True]),
    ],
)
def test_expressions_mean_what_they_say(text: str, expected: list[bool]) -> None:
    assert compile_expression(text, list(CHANNELS))(CHANNELS).tolist() == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "speed",
        "speed + 1",
        "speed >",
        "speed > 'fast'",
        "speed > True",
        "speed > 1j",
        "speed in (1, 2)",
        "speed is power",
        "speed ** 2 > 4",
        "speed % 2 == 0",
        "speed // 2 > 4",
        "speed & power",
        "(speed > 1) + 1 > 1",
        "abs(speed, power) > 1",
        "abs(x=speed) > 1",
        "max(speed, power) > 1",
        "ch(speed) > 1",
        "ch('speed', 'power') > 1",
        "speed.real > 1",
        "speed[0] > 1",
        "(lambda: 1)() > 0",
        "[s for s in speed] > 1",
        "speed > 1 if power else 2 > 1",
        "(x := speed) > 1",
        "f'{speed}' > 1",
        "__import__('os').system('true') == 0",
        "speed > 1; power > 1",
        "not speed",
        "speed and power",
        "speed > \x00",
        "`speed > 1",
        "(" * 300 + "speed > 1" + ")" * 300,
        "speed > 1 and " * 200 + "speed > 1",
    ],
)
def test_anything_else_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ConfigError, match=r"(?s)Expected .* Received: "):
        compile_expression(text, list(CHANNELS))


def test_an_unknown_channel_is_named_beside_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match=r"speed, power, cpu %. Received: sped \(did you mean speed\?\)"
    ):
        compile_expression("sped > 1", list(CHANNELS))


def test_channels_are_listed_once_in_order_and_functions_are_none_of_them() -> None:
    assert channels_of("abs(`cpu %`) > 1 and power > speed > `cpu %`") == (
        "cpu %",
        "power",
        "speed",
    )
