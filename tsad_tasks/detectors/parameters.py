"""Checks of detectors' parameters: what comes from a YAML file is one value of the right kind, or
one clear error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tsad_tasks.base.errors import ConfigError


def whole_number(name: str, value: Any, *, least: int = 1, most: int | None = None) -> int:
    """A whole number within bounds.

    >>> whole_number("code", 8)
    8
    """
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole and value >= least and (most is None or value <= most):
        return int(value)
    bound = f"of at least {least}" if most is None else f"from {least} to {most}"
    raise ConfigError(
        f"detector.params.{name}: Expected a whole number {bound}. Received: {value}."
    )


def number(name: str, value: Any, *, above: float = 0.0, below: float | None = None) -> float:
    """A number between two bounds, neither of them included.

    >>> number("input_limit", 2)
    2.0
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and value > above and (below is None or value < below):
        return float(value)
    bound = f"above {above:g}" if below is None else f"between {above:g} and {below:g}"
    raise ConfigError(f"detector.params.{name}: Expected a number {bound}. Received: {value}.")


def share(name: str, value: Any) -> float:
    """A share: 0 or more, and less than 1.

    >>> share("dropout", 0)
    0.0
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1:
        return float(value)
    raise ConfigError(
        f"detector.params.{name}: Expected a share, from 0 to below 1. Received: {value}."
    )


def sizes(name: str, value: Any, n: int | None = None) -> tuple[int, ...]:
    """Sizes of layers: whole numbers above 0, `n` of them, or at least one.

    >>> sizes("units", [64, 32], 2)
    (64, 32)
    """
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if (
        is_list
        and (len(value) == n or (n is None and value))
        and all(_is_size(part) for part in value)
    ):
        return tuple(value)
    wanted = {None: "whole numbers", 1: "one whole number", 2: "two whole numbers"}[n]
    raise ConfigError(f"detector.params.{name}: Expected {wanted} above 0. Received: {value}.")


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def choice(name: str, value: Any, allowed: Sequence[Any]) -> Any:
    """One of the allowed values.

    >>> choice("error", "mae", ["mse", "mae"])
    'mae'
    """
    if value in allowed:
        return value
    wanted = ", ".join("null" if one is None else str(one) for one in allowed)
    raise ConfigError(f"detector.params.{name}: Expected one of {wanted}. Received: {value}.")
