"""Readings of each kind of channel, every five minutes, for what anomalies of it are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import Signal
from tsad_tasks.model.circle import Circle
from tsad_tasks.model.features import SUNDAY, fit_scaler
from tsad_tasks.model.injection_site import Site
from tsad_tasks.model.spec import FeatureSpec

STEPS_A_DAY = 288
# A Monday.
START_S = 1_772_409_600


def spec_of(n_channels: int, **changes: Any) -> FeatureSpec:
    """Features of so many gauges."""
    fields: dict[str, Any] = {
        "channels": tuple(f"c{i}" for i in range(n_channels)),
        "hold_steps": (0,) * n_channels,
        "step_s": 86400 // STEPS_A_DAY,
        "site_zone": "UTC",
        "width": 10,
        "min_coverage": 0.5,
        "running_when": None,
        "grace_steps": 0,
    }
    names = ("rolling_mean", "lag", "diff", "cyclic", "holidays")
    fields |= dict.fromkeys(names, ()) | {"rest_weekday": SUNDAY}
    return FeatureSpec(**(fields | changes))


def hour_of(n_days: int) -> NDArray[np.float64]:
    """Hour of the day of each step."""
    return np.arange(n_days * STEPS_A_DAY) % STEPS_A_DAY * 24 / STEPS_A_DAY


def wave(n_days: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A day's wave with noise, which may be negative."""
    hour = hour_of(n_days)
    return np.asarray(5 * np.sin(2 * np.pi * hour / 24) + rng.normal(0, 0.3, hour.size))


def rare(n_days: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Whole numbers, nearly all of them 0, at most 3."""
    n = n_days * STEPS_A_DAY
    return np.where(rng.random(n) < 0.04, rng.choice([1.0, 1.0, 2.0, 3.0], n), 0.0)


def office(n_days: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Load on work days from 07 to 18, quiet else."""
    hour, day = hour_of(n_days), np.arange(n_days * STEPS_A_DAY) // STEPS_A_DAY
    works = (day % 7 < 5) & (hour >= 7) & (hour < 18)
    return np.asarray((np.where(works, 95.0, 22.0) + rng.normal(0, 3, hour.size)).round(1))


def valve(n_days: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Open (100) by day, else closed (0)."""
    del rng
    hour = hour_of(n_days)
    return np.where((hour >= 8) & (hour < 16), 100.0, 0.0)


def on_change(n_days: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Half degrees, a row only where it changed."""
    level = np.round(2 * (20 + wave(n_days, rng) / 5)) / 2
    return np.where(np.append(True, level[1:] != level[:-1]), level, np.nan)


def wind(n_days: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Directions around north."""
    return np.asarray(rng.normal(0, 20, n_days * STEPS_A_DAY) % 360)


KINDS: dict[str, Callable[[int, np.random.Generator], NDArray[np.float64]]] = {
    "gauge": wave,
    "zero-inflated": rare,
    "office": office,
    "two values": valve,
    "held": on_change,
    "angle": wind,
}


def site(kind: str, n_days: int = 9, seed: int = 1) -> Site:
    """Readings of one channel of a kind."""
    values = KINDS[kind](n_days, np.random.default_rng(seed))[:, None]
    circles = (Circle(360.0),) if kind == "angle" else ()
    changes: dict[str, Any] = {"signals": (Signal.ANGLE.value,)} if kind == "angle" else {}
    changes |= {"hold_steps": (STEPS_A_DAY,)} if kind == "held" else {}
    scaler = fit_scaler(values, "robust", circles=circles)
    return Site(spec_of(1, **changes), scaler, values, START_S, np.ones(len(values), bool))
