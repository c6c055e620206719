"""`tsad simulate`: example datasets filled with readings of our own making, and what was put into
them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from devstack.simulate import SimulatedAnomaly, server_room
from devstack.simulate_plants import cold_store, pump_hall
from tsad_tasks.cli.demo import SEED, START_AT
from tsad_tasks.cli.plant import fill_cold_store, fill_pumps, fill_server_metrics
from tsad_tasks.cli.screen import say, table

Filled = tuple[int, list[SimulatedAnomaly]]
N_SCORED_DAYS = 2


def _server_room(uri: str, days: int) -> Filled:
    room = server_room(days=days, hosts=4, start_at=START_AT, seed=SEED)
    return fill_server_metrics(uri, room), room.anomalies


def _cold_store(uri: str, days: int) -> Filled:
    store = cold_store(days=days, start_at=START_AT, seed=SEED)
    return fill_cold_store(uri, store), store.anomalies


def _pumps(uri: str, days: int) -> Filled:
    hall = pump_hall(days=days, start_at=START_AT, seed=SEED)
    return fill_pumps(uri, hall), hall.anomalies


PLANTS: dict[str, Callable[[str, int], Filled]] = {
    "server_room": _server_room,
    "cold_store": _cold_store,
    "pumps": _pumps,
}


def show_simulated(name: str, uri: str, *, days: int) -> None:
    """Fills the tables of one example, and shows its anomalies and what to type next."""
    n_rows, anomalies = PLANTS[name](uri, days)
    end_at = START_AT + timedelta(days=days)
    split_at = end_at - timedelta(days=N_SCORED_DAYS)
    say(
        f"{name}: {n_rows:,} rows, {START_AT:%Y-%m-%d} to {end_at:%Y-%m-%d} UTC, with these "
        "anomalies:"
    )
    columns = ("kind", "entity", "from", "to", "what")
    rows = [(one.kind, one.entity, one.start_at, one.end_at, one.description) for one in anomalies]
    table("", columns, rows)
    say(f"Next: tsad datasets check {name}")
    say(f"      tsad retrain {name} --end {split_at:%Y-%m-%d}")
    say(f"      tsad score {name} --from {split_at:%Y-%m-%d} --to {end_at:%Y-%m-%d}")
    say(f"      tsad anomalies {name}")
