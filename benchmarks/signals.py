"""Signals as people have them: for each kind what is right, what came out, and how long it took.

Usage: python benchmarks/signals.py [--small] [--detector NAME] [--seed N] [CASE ...]

Each case is a table of its own (simulators/simulate_signals.py), read, learned from and scored by
the functions that the DAGs call, on a server of its own. Fails where something is wrong that is to
be kept; what the default detector and the gate make of it is reported alone. --small: some cases,
ten days of training and a dense autoencoder, for CI; otherwise all, thirty days and the default
detector.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time as clock
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lab.room import asked
from psycopg2 import sql
from simulators import simulate_signals as simulated
from simulators.simulate_signals import Table, Time
from upath import UPath

from devstack import postgres
from tsad_tasks.champions.champions import promote
from tsad_tasks.config import DatasetConfig
from tsad_tasks.ingest.check import check_dataset
from tsad_tasks.ingest.ingest import ingest_interval
from tsad_tasks.pipeline.retrain import retrain
from tsad_tasks.scoring.incidents import build_incidents
from tsad_tasks.scoring.score import score_interval
from tsad_tasks.storage import copy_binary as binary
from tsad_tasks.storage.database import connect
from tsad_tasks.storage.migrate import migrate
from tsad_tasks.storage.store import Store
from tsad_tasks.training.retrain import Retraining

AT = datetime(2026, 6, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
SCORE_DAYS = 6
Judge = Callable[["Lived"], Iterator["Said"]]


class Said(NamedTuple):
    """One promise: what is right, whether it came out, what did, and whether it is to be kept."""

    right: str
    held: bool
    came: str = ""
    is_kept: bool = True


@dataclass(frozen=True)
class Case:
    """A kind of signal: its table, the dataset file's source and other sections, and its judge."""

    table: Callable[[Time, np.random.Generator], Table]
    source: dict[str, Any]
    judge: Judge
    more: dict[str, Any] = field(default_factory=dict)
    undeclared: dict[str, Any] = field(default_factory=dict)
    at: datetime = AT


class Incident(NamedTuple):
    """What people see of an incident."""

    entity: str
    started_at: datetime
    last_flag_at: datetime
    severity: str
    channel: str | None
    sentence: str


SHOWN = """
SELECT entity, started_at, last_flag_at, severity, channel, sentence FROM tsad.v_incident
WHERE lineage = 'live' ORDER BY entity, started_at
"""


class Lived:
    """A case that has been lived through, and what can be asked of it."""

    def __init__(
        self, cluster: postgres.Cluster, name: str, case: Case, time: Time, fit: dict[str, Any]
    ) -> None:
        self.name, self.time = name, time
        self.config = _config(name, case.source, case.more | fit)
        self.source_uri = cluster.create_database(f"{name}_plant")
        self.uri = cluster.create_database(f"{name}_store")
        migrate(self.uri)
        self.refused: list[str] = []
        self.proposed: list[str] = []

    def rows(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows of a statement in the warehouse."""
        return asked(self.uri, statement, params)

    @property
    def incidents(self) -> list[Incident]:
        return [Incident(*row) for row in self.rows(SHOWN)]

    def between(self, entity: str, day: int, start: float, end: float) -> list[Incident]:
        """Incidents of an entity that touch these hours of a day."""
        first, last = (self.moment(day, hour) for hour in (start, end))
        return [
            one
            for one in self.incidents
            if one.entity == entity and one.started_at < last and one.last_flag_at >= first
        ]

    def moment(self, day: int, hour: float = 0) -> datetime:
        """A time of day on a day after scoring began, the first one 0."""
        return datetime.fromtimestamp(self.time.moment(day, hour), UTC)

    def quality(self, verdict: str) -> int:
        """Sensor-hours with a finding."""
        ((n,),) = self.rows("SELECT count(*) FROM tsad.v_quality WHERE verdict = %s", verdict)
        return int(n)

    def readings(self, entity: str, channel: str) -> list[tuple[datetime, float | None]]:
        """Stored readings of the scored days."""
        span = self.moment(0), self.moment(SCORE_DAYS)
        statement = "SELECT at, value FROM tsad.readings(%s, %s, %s, %s) WHERE channel = %s"
        return self.rows(statement, self.name, entity, *span, channel)

    def fill(self, table: Table) -> None:
        """Rows of the source's table, which has an index on its time."""
        columns, encoded = [], []
        for name, values in table.columns.items():
            is_text, is_time = np.asarray(values).dtype.kind in "UO", name in ("at", "arrived_at")
            kind = "timestamptz" if is_time else "text" if is_text else "float8"
            columns.append(sql.SQL(f"{{}} {kind}").format(sql.Identifier(name)))
            encode = binary.timestamptz if is_time else binary.nullable
            encoded.append(binary.text([*values]) if is_text else encode(values))
        made = sql.SQL("CREATE TABLE IF NOT EXISTS log ({})").format(sql.SQL(", ").join(columns))
        opened = closing(connect(self.source_uri))
        with opened as connection, connection, connection.cursor() as cursor:
            cursor.execute(made)
            cursor.copy_expert("COPY log FROM STDIN (FORMAT binary)", _stream(encoded))
            cursor.execute("CREATE INDEX IF NOT EXISTS log_at ON log (at)")

    def ingest(self, start_at: datetime, end_at: datetime) -> None:
        with Store.connect(self.uri) as store:
            ingest_interval(store, self.config, self.source_uri, start_at=start_at, end_at=end_at)

    def train(self, folder: Path) -> None:
        """A champion of the days before, whatever the gate says of it."""
        self.ingest(self.moment(-self.time.train_days), self.moment(0))
        with Store.connect(self.uri) as store:
            run = Retraining(
                store, self.config, self.moment(0), UPath(folder / "run"), UPath(folder)
            )
            (made,) = retrain(run)
            self.refused = made.failed_rules
            if made.valid_from is None:
                promote(store, self.config, made.version, by="benchmark", reason="to be shown")

    def score(self, table: Table) -> None:
        """The days after, one after the other; rows are there when they have arrived."""
        for day in range(self.time.score_days):
            self.fill(arrived(table, self.moment(day), self.moment(day + 1)))
            span: dict[str, Any] = {"start_at": self.moment(day), "end_at": self.moment(day + 1)}
            self.ingest(**span)
            with Store.connect(self.uri) as store:
                score_interval(store, self.config, **span)
                build_incidents(store, self.config, **span, lineage="live")


def arrived(table: Table, start_at: datetime | None, end_at: datetime) -> Table:
    """Rows that were there at the end and not yet at the start."""
    at_s = table.columns.get("arrived_at", table.columns["at"])
    chosen = at_s < end_at.timestamp()
    if start_at is not None:
        chosen &= at_s >= start_at.timestamp()
    return Table({name: column[chosen] for name, column in table.columns.items()})


def _stream(columns: Sequence[binary.Column]) -> io.BytesIO:
    return io.BytesIO(binary.encode(columns))


# What is right
# ---------------------------------------------------------------------------------------------


def _told(incidents: Sequence[Incident]) -> str:
    """Incidents as a reader sees them, at most three."""
    some = [f"{one.entity} {one.started_at:%d %H:%M} {one.severity}" for one in incidents[:3]]
    return f"{len(incidents)}: {', '.join(some)}" if some else "none"


def _proposes(lived: Lived, *words: str) -> Said:
    """Whether `check` proposes something that has all these words in one line."""
    lines = [one for one in lived.proposed if all(word in one for word in words)]
    return Said(f"check proposes {words[-1]}", bool(lines), lines[0][:90] if lines else "nothing")


def _quiet(lived: Lived, but: Sequence[Incident], *entities: str) -> Said:
    others = [
        one
        for one in lived.incidents
        if one not in but and (not entities or one.entity in entities)
    ]
    others = [one for one in others if one.severity != "LOW"]
    # One incident for each machine and week is what the budget lets be; none is HIGH by chance.
    ((n_machines,),) = lived.rows("SELECT count(*) FROM tsad.v_entity")
    n_most = n_machines * SCORE_DAYS // 7
    is_quiet = len(others) <= n_most and not any(one.severity == "HIGH" for one in others)
    said = f"no other incident is HIGH, nor are more than {n_most} MEDIUM"
    return Said(said, is_quiet, _told(others))


def of_meters(lived: Lived) -> Iterator[Said]:
    yield _proposes(lived, "energy_total", "counter")
    found = lived.between("M1", 2, 2, 5)
    yield Said("three times the consumption is found", bool(found), _told(found), is_kept=False)
    yield _quiet(lived, found, "M2", "M3")
    reset_at, replaced_at = lived.moment(1, 10), lived.moment(2, 14)
    after = dict(lived.readings("M2", "energy_total")).get(reset_at)
    right = after is not None and 0 <= after < 10
    yield Said("the step of the reset has what the meter says since", right, str(after))
    replaced = dict(lived.readings("M3", "energy_total")).get(replaced_at)
    yield Said("the step of the replacement is unknown", replaced is None, str(replaced))


def of_vane(lived: Lived) -> Iterator[Said]:
    yield _proposes(lived, "wind_dir", "angle")
    statement = "SELECT at, wind_dir FROM log WHERE at >= %s"
    rows = asked(lived.source_uri, statement, (lived.moment(0),))
    stored = [value for _, value in lived.readings("mast-1", "wind_dir")]
    said = np.array([value for _, value in rows]).reshape(-1, 5)
    turned = np.abs((said - np.array(stored)[:, None] + 180) % 360 - 180).min(axis=1)
    n_wrong = int((turned > 10).sum())
    yield Said("where a direction is stored a reading points", not n_wrong, f"{n_wrong} do not")
    found = lived.incidents
    yield Said("wind from a new side is told at most once", len(found) <= 1, _told(found))


def of_weather(lived: Lived) -> Iterator[Said]:
    found = lived.between("mast-1", 1, 0, 24)
    yield Said("weather that is new is no incident", not found, _told(found))
    yield _quiet(lived, [])
    ((n_told,),) = lived.rows("SELECT count(*) FROM tsad.v_outside_experience")
    yield Said("that it is new is told once", n_told == 1, str(n_told))


def of_rooms(lived: Lived) -> Iterator[Said]:
    yield _proposes(lived, "valid_for")
    found = lived.between("south", 1, 8, 21)
    yield Said("the open window is an incident", bool(found), _told(found), is_kept=False)
    yield _quiet(lived, found)._replace(is_kept=False)
    yield Said("the gate lets it pass", not lived.refused, ", ".join(lived.refused), is_kept=False)
    n_dead = lived.quality("dead")
    yield Said("nothing is dead", not n_dead, f"{n_dead} sensor-hours")


def of_errors(lived: Lived) -> Iterator[Said]:
    found = lived.between("shop", 1, 11.9, 12.6)
    is_high = bool(found) and found[0].severity == "HIGH"
    yield Said("the burst is one HIGH incident", is_high, _told(found), is_kept=False)
    yield _quiet(lived, found)._replace(is_kept=False)
    n_limit = lived.quality("at_limit")
    yield Said("zeros are no limit", not n_limit, f"{n_limit} sensor-hours")
    yield Said("the gate lets it pass", not lived.refused, ", ".join(lived.refused), is_kept=False)


def of_logins(lived: Lived) -> Iterator[Said]:
    found = lived.between("de", 1, 10.9, 12.6)
    early = bool(found) and found[0].started_at <= lived.moment(1, 11.25)
    yield Said("no logins is an incident from about 11:05 on", early, _told(found))
    said = found[0].sentence if found else ""
    yield Said("its sentence says that nothing is heard", "no events" in said, said)
    (n_source,) = asked(
        lived.source_uri, "SELECT count(*) FROM log WHERE at < %s", (lived.moment(0),)
    )[0]
    steps = lived.rows(
        "SELECT sum(value) FROM tsad.readings(%s, 'de', %s, %s)",
        *(lived.name, lived.moment(-lived.time.train_days), lived.moment(0)),
    )
    n_read = int(steps[0][0] or 0)
    yield Said("all events count", n_read == n_source, f"{n_read:,} of {n_source:,}")
    yield _quiet(lived, found)._replace(is_kept=False)


def of_office(lived: Lived) -> Iterator[Said]:
    for words, day, start, end in (("Saturday", 5, 10, 14), ("Wednesday", 2, 7, 18)):
        found = lived.between("office", day, start, end)
        yield Said(f"the odd {words} is found", bool(found), _told(found), is_kept=False)
    yield Said("the gate lets it pass", not lived.refused, ", ".join(lived.refused), is_kept=False)


def of_constants(lived: Lived) -> Iterator[Said]:
    for unit in ("U1", "U2", "U3"):
        found = [one for one in lived.incidents if one.entity == unit]
        at_once = len(found) == 1 and found[0].started_at - lived.moment(1, 10) < HOUR
        yield Said(f"{unit} is one incident, at once", at_once, _told(found))
    sentences = [one.sentence for one in lived.incidents if "for the first time" in one.sentence]
    yield Said("they say: for the first time", len(sentences) == 3, "; ".join(sentences)[:200])
    yield _quiet(lived, [], "U4")


def of_logger(lived: Lived) -> Iterator[Said]:
    words = "SELECT DISTINCT verdict FROM tsad.v_quality WHERE verdict LIKE '%%sampling%%'"
    found = lived.rows(words)
    yield Said("the change of sampling is a finding", bool(found), str(found))
    begun = lived.moment(2, 9)
    fault = [one for one in lived.between("pump", 2, 10, 11) if one.started_at >= begun]
    yield Said("a fault after it is found", bool(fault), _told(fault), is_kept=False)
    yield _quiet(lived, fault)


def of_hosts(lived: Lived) -> Iterator[Said]:
    ((n_hours,),) = lived.rows("SELECT count(*) FROM tsad.v_status WHERE lineage = 'live'")
    heard = "SELECT count(*) FROM (SELECT DISTINCT host, date_trunc('hour', at) FROM log"
    ((n_heard,),) = asked(lived.source_uri, f"{heard} WHERE at >= %s) h", (lived.moment(0),))
    ratio = n_hours / n_heard
    yield Said("hours follow the hosts that live", ratio < 1.3, f"{n_hours:,} of {n_heard:,} heard")


def of_station(lived: Lived) -> Iterator[Said]:
    span = lived.moment(1), lived.moment(2, 12)
    statement = (
        "SELECT status, count(*) FROM tsad.v_status WHERE hour_at >= %s AND hour_at < %s GROUP BY 1"
    )
    statuses = dict(lived.rows(statement, *span))
    n_scored = statuses.get("scored", 0) + statuses.get("partial", 0)
    yield Said("hours are scored when their rows are there", n_scored >= 35, str(statuses))
    found = lived.between("ps-9", 1, 10, 17)
    yield Said("the heat is found late", bool(found), _told(found), is_kept=False)


def of_restarted(lived: Lived) -> Iterator[Said]:
    # On day 2 the total of R2 stands still for a while.
    yield _quiet(lived, lived.between("R2", 2, 0, 0.5))
    for meter in ("R1", "R2", "R3"):
        rates = [value or 0.0 for _, value in lived.readings(meter, "energy")]
        power = [value or 0.0 for _, value in lived.readings(meter, "power")]
        most, at_most = max(rates), 1.5 * max(power)
        right = "consumes no more than it did, and no less than 0"
        yield Said(f"{meter} {right}", min(rates) >= 0 and most < at_most, f"{most:.1f} kW")


def of_net_meter(lived: Lived) -> Iterator[Said]:
    said = [one for one in lived.proposed if "counter" in one]
    yield Said("a total that falls is not proposed as a counter", not said, "; ".join(said)[:90])


def of_broken_wire(lived: Lived) -> Iterator[Said]:
    statement = "SELECT entity, min(hour_at), count(*) FROM tsad.v_quality WHERE verdict = 'stuck'"
    found = lived.rows(f"{statement} GROUP BY 1")
    right = [entity for entity, *_ in found] == ["p2"]
    yield Said("the value that repeats is stuck, and no other", right, str(found)[:120])


def of_nightly_job(lived: Lived) -> Iterator[Said]:
    yield _quiet(lived, [])


def of_clock_change(lived: Lived) -> Iterator[Said]:
    yield _quiet(lived, [])._replace(is_kept=False)


CPU_RANGE = {"sensor_range": [0, 100], "unit": "%"}
COUNTER = {"unit": "kWh", "signal": "counter"}
LONG = {"shape": "long", "channel_column": "item", "value_column": "value"}
HELD = {"aggregate": "last", "valid_for": "24h"}


def _source(entity: str, channels: dict[str, Any], **more: Any) -> dict[str, Any]:
    named = {"entity": {"column": entity}, "channels": channels}
    return {"step": "5min", **named, **more}


def _config(name: str, source: dict[str, Any], more: dict[str, Any]) -> DatasetConfig:
    of = {"connection": "plant", "tables": "log", "time": {"column": "at"}, **source}
    return DatasetConfig.model_validate({"dataset": name, "source": of, **more})


CASES: dict[str, Case] = {
    "meter_total": Case(
        simulated.meters,
        _source("meter", {"energy_total": COUNTER | {"per": "hour"}, "power": {"unit": "kW"}}),
        of_meters,
        undeclared={"channels": {"energy_total": {"unit": "kWh"}, "power": {"unit": "kW"}}},
    ),
    "wind_north": Case(
        simulated.vane,
        _source(
            "mast",
            {"wind_dir": {"unit": "°", "signal": "angle"}, "wind_speed": {"unit": "m/s"}},
        ),
        of_vane,
        undeclared={"channels": {"wind_dir": {"unit": "°"}, "wind_speed": {"unit": "m/s"}}},
    ),
    "wind_ambient": Case(
        simulated.vane,
        _source(
            "mast",
            {
                "wind_dir": {"signal": "angle", "role": "ambient"},
                "wind_speed": {"unit": "m/s"},
            },
        ),
        of_weather,
    ),
    "on_change": Case(
        simulated.rooms,
        _source("room", dict.fromkeys(("setpoint", "temp", "valve"), HELD), **LONG),
        of_rooms,
        undeclared={"channels": {"setpoint": {}, "temp": {}, "valve": {}}},
    ),
    "errors_count": Case(
        simulated.errors, _source("shop", {"errors": {"sensor_range": [0, None]}}), of_errors
    ),
    "event_count": Case(
        simulated.logins,
        _source("shop", {"logins": {"column": "login_ms", "signal": "event_count"}}),
        of_logins,
    ),
    "weekends_b": Case(simulated.office, _source("site", {"load_kw": {}, "co2": {}}), of_office),
    "rate_change": Case(
        simulated.logger,
        _source("pump", {"pressure": {"unit": "bar"}, "flow": {"unit": "l/min"}}, step="1min"),
        of_logger,
    ),
    "autoscale": Case(
        simulated.hosts, _source("host", {"cpu": CPU_RANGE, "mem": CPU_RANGE}), of_hosts
    ),
    "outage_upload": Case(
        simulated.station, _source("station", {"temp": {}, "current": {}}), of_station
    ),
}
CASES |= {
    "restarted_meters": Case(
        simulated.restarted_meters,
        _source("meter", {"energy": COUNTER | {"per": "hour"}, "power": {}}),
        of_restarted,
    ),
    "net_meter": Case(simulated.net_meter, _source("meter", {"energy_total": {}}), of_net_meter),
    "broken_wire": Case(
        simulated.broken_wire, _source("probe", {"temp": {}}, step="1min"), of_broken_wire
    ),
    "nightly_job": Case(
        simulated.nightly_job, _source("host", {"cpu": CPU_RANGE}, step="1min"), of_nightly_job
    ),
    "clock_change": Case(
        simulated.clock_change,
        _source("site", {"load_kw": {}}),
        of_clock_change,
        {"site_zone": "Europe/Berlin"},
        at=datetime(2026, 3, 30, tzinfo=UTC),
    ),
}
SMALL = (
    *("meter_total", "wind_north", "event_count", "rate_change", "outage_upload"),
    "was_constant_milli",
)
_UNITS = {"was_constant": 1.0, "was_constant_milli": 1000, "was_constant_kilo": 0.001}
for _name, _factor in _UNITS.items():
    CASES[_name] = Case(
        partial(simulated.constants, factor=_factor),
        _source("unit", {one: {} for one in ("motor", "leak", "relief", "level")}),
        of_constants,
    )


def lived(
    cluster: postgres.Cluster, folder: Path, name: str, days: int, seed: int, fit: dict[str, Any]
) -> Lived:
    """A case from its table to its incidents."""
    case = CASES[name]
    time = Time(int(case.at.timestamp()), days, SCORE_DAYS)
    table = case.table(time, np.random.default_rng(seed))
    one = Lived(cluster, name, case, time, fit)
    at = case.at
    os.environ["TSAD_ARTIFACTS"] = str(folder)
    one.fill(arrived(table, None, at))
    one.train(folder)
    one.score(table)
    undeclared = _config(name, case.source | case.undeclared, {})
    found = check_dataset(undeclared, one.source_uri, now_at=one.moment(SCORE_DAYS))
    one.proposed = [finding.text for finding in found]
    return one


def main() -> int:
    """1 where something is wrong that is to be kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--detector", help="in place of the default")
    parser.add_argument("--seed", type=int, default=1)
    asked_for = parser.parse_args()
    if unknown := set(asked_for.cases) - CASES.keys():
        sys.exit(f"Expected cases: {', '.join(CASES)}. Received: {', '.join(unknown)}.")
    name = asked_for.detector or ("dense_autoencoder" if asked_for.small else None)
    days = 10 if asked_for.small else 30
    # What the gate says of this detector is wanted, and what it finds: nobody stands in for it.
    fit = {"training": {"range": f"{days}d", "fallback": []}} | (
        {"detector": {"name": name}} if name else {}
    )
    n_wrong = 0
    with tempfile.TemporaryDirectory(prefix="tsad-signals-") as place:
        root = Path(place)
        root.chmod(0o711)
        cluster = postgres.ensure_running(root / "postgres", durable=False)
        try:
            for case in asked_for.cases or (SMALL if asked_for.small else CASES):
                began = clock.perf_counter()
                one = lived(cluster, root / case, case, days, asked_for.seed, fit)
                print(f"\n{case}, {clock.perf_counter() - began:.0f} s")
                for said in CASES[case].judge(one):
                    word = "ok" if said.held else "WRONG" if said.is_kept else "reported: not so"
                    print(f"  {word:16} {said.right}: {said.came}", flush=True)
                    n_wrong += said.is_kept and not said.held
        finally:
            postgres.remove(root / "postgres")
    print(f"\n{n_wrong} wrong")
    return bool(n_wrong)


if __name__ == "__main__":
    sys.exit(main())
