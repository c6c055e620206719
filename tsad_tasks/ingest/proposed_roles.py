"""Roles that names and values of channels speak for: proposed to a person, and set by none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tsad_tasks.base.arrays import Flags, Floats64
from tsad_tasks.base.enums import Role
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.sources.base import SourceRows
from tsad_tasks.text.formats import counted

_WORDS = {
    Role.SETPOINT: {"setpoint", "setpt", "setp", "sp", "target", "setting", "soll", "sollwert"},
    Role.LOAD: {"throughput", "demand", "occupancy"},
    Role.AMBIENT: {
        *("ambient", "outdoor", "outdoors", "outside", "weather", "irradiance", "solar", "wind"),
        *("rain", "aussen", "aussentemperatur"),
    },
}  # fmt: skip
# Of a hundred pairs of neighbours so many may differ where somebody sets a value.
_MOST_CHANGES = 0.1
_FEW_VALUES = 12


class ProposedRole(NamedTuple):
    """A channel, the role that it seems to have, and what speaks for it."""

    channel: str
    role: Role
    evidence: str


def proposed_roles(config: DatasetConfig, rows: SourceRows) -> Iterator[ProposedRole]:
    """Roles of channels of which the file says none, by their names and some rows of them.

    A setpoint changes rarely, or is told of only when it does and has few values.
    """
    for position, (name, channel) in enumerate(config.channels.items()):
        role = role_of_name(name if channel.column is None else f"{name} {channel.column}")
        if role is None or "role" in channel.model_fields_set:
            continue
        is_its = rows.channel == position if rows.channel is not None else slice(None)
        values = rows.values[is_its] if rows.channel is not None else rows.values[:, position]
        entity, times_us = rows.entity[is_its], rows.times_us[is_its]
        order = np.lexsort((times_us, entity))
        known = np.isfinite(values[order])
        found = values[order][known]
        if not found.size:
            continue
        same_entity = np.diff(entity[order][known]) == 0
        evidence = _piecewise(found, same_entity, is_long=rows.channel is not None)
        if role is not Role.SETPOINT:
            yield ProposedRole(name, role, "its name says so")
        elif evidence:
            yield ProposedRole(name, role, f"its name says so, and {evidence}")


def role_of_name(name: str) -> Role | None:
    """The role that a name speaks for.

    >>> role_of_name("TEMP_SP"), role_of_name("outdoorTemp"), role_of_name("speed")
    (<Role.SETPOINT: 'setpoint'>, <Role.AMBIENT: 'ambient'>, None)
    """
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    words = {word for word in re.split(r"[^a-zäöüß]+", apart.lower()) if word}
    return next((role for role, known in _WORDS.items() if words & known), None)


def _piecewise(values: Floats64, same_entity: Flags, *, is_long: bool) -> str:
    """What says that values, one entity after the other, are set now and then; empty: nothing."""
    n_values = len(np.unique(values))
    changes = (np.diff(values) != 0)[same_entity]
    if changes.size >= _FEW_VALUES and changes.mean() <= _MOST_CHANGES:
        kept = 1 - changes.mean()
        return f"{kept:.0%} of its values are the one before"
    if is_long and n_values <= _FEW_VALUES and values.size <= 10 * _FEW_VALUES:
        return f"it has {counted(n_values, 'value')}, told of when they change"
    return ""
