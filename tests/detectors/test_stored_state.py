"""Stored states: what was stored comes back to the bit, older ones too, and what is cut is told."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from tsad_tasks.base.errors import BadInput
from tsad_tasks.detectors.folding.fold import State
from tsad_tasks.detectors.folding.stored_state import joined_state, states_bytes


def made(n_entities: int = 3) -> State:
    """Arrays of every kind that a state may hold, of so many entities."""
    rng = np.random.default_rng(4)
    values = rng.normal(size=(n_entities, 2, 5))
    values[:1, 0, :3] = np.nan, -0.0, np.inf
    # A NaN that carries bits of its own.
    values[1:2, 0].view(np.uint64)[:, 0] = 0x7FF8_0000_0000_BEEF
    return {
        "past.values": values,
        "past.top": values.astype(np.float32),
        "past.ring": rng.integers(-9, 9, (n_entities, 4)).astype(np.int32),
        "fold.waiting_at": rng.integers(0, 336, (n_entities, 7)).astype(np.int16),
        "fold.ready": rng.random(n_entities) > 0.5,
        "nothing": np.empty((n_entities, 0, 3)),
    }


def same(one: State, other: State) -> bool:
    """Whether two states agree in names, types, shapes and bits."""
    return one.keys() == other.keys() and all(
        (array.dtype, array.shape, array.tobytes())
        == (other[name].dtype, other[name].shape, other[name].tobytes())
        for name, array in one.items()
    )


def archive(state: State, entity: int) -> bytes:
    """A state as it was stored by versions before this format."""
    content = io.BytesIO()
    of_entity: dict[str, Any] = {name: array[entity] for name, array in state.items()}
    np.savez_compressed(content, **of_entity)
    return content.getvalue()


def test_what_was_stored_comes_back_to_the_bit() -> None:
    state = made()
    assert same(joined_state(states_bytes(state)), state)
    assert states_bytes(state) == states_bytes(made())


def test_arrays_in_any_order_of_bytes_and_axes_are_stored_alike() -> None:
    state = made()
    other = {name: np.asfortranarray(array) for name, array in state.items()}
    other["past.ring"] = state["past.ring"].astype(">i4")
    assert states_bytes(other) == states_bytes(state)


def test_older_states_are_read_also_beside_new_ones() -> None:
    state = made()
    mixed = [archive(state, 0), states_bytes(state)[1], archive(state, 2)]
    assert same(joined_state(mixed), state)


def test_no_entities_have_no_states() -> None:
    assert states_bytes(made(0)) == []


def test_what_was_cut_or_changed_is_told() -> None:
    content = states_bytes(made())[0]
    changed = bytearray(content)
    changed[len(content) // 2] ^= 1
    for wrong in (content[:-9], bytes(changed)):
        with pytest.raises(BadInput, match=r"Expected a whole state\. Received: "):
            joined_state([wrong])
    with pytest.raises(BadInput, match=r"Expected a state\. Received: 5 other bytes\."):
        joined_state([b"hello"])


def test_states_of_two_detectors_are_no_state() -> None:
    state = made()
    other = {name: array for name, array in state.items() if name != "nothing"}
    with pytest.raises(BadInput, match="Received: states of two"):
        joined_state([states_bytes(state)[0], states_bytes(other)[0]])
