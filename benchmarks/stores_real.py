"""Other systems write into PostgreSQL themselves: from a read-only login to right values, and for
Zabbix to the incident.

Usage: python benchmarks/stores_real.py [--download] [NAME ...], of zabbix, zabbix_7 (Debian 13's),
home_assistant, collectd and icinga

Nothing is installed: packages of Debian are unpacked, and Home Assistant gets an environment of its
own, below .tsad/real_stores; both come from their registries with --download alone. What a person
would type is typed here, and timed. Fails where a value is not what was told the other system, or
the incident is not found.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from real_stores import collectd, home_assistant, icinga, zabbix
from real_stores.programs import unpacked
from real_stores.store import Database

from devstack.postgres import WAREHOUSE, Cluster, ensure_running, remove
from tsad_tasks.base.interval import hour_floor
from tsad_tasks.base.places import project_folder
from tsad_tasks.storage.database import connect

_FETCHED = project_folder() / ".tsad" / "real_stores"
_GUIDE = project_folder() / "docs" / "guides" / "other_systems.md"
_READINGS = """
SELECT e.name, r.channel, r.at, r.value FROM tsad.entity e JOIN tsad.dataset d USING (dataset_id),
  tsad.readings(d.name, e.name, %s, %s) r WHERE d.name = %s AND r.value IS NOT NULL
"""
Value = Callable[[str, str, int], float | None]


def _is_same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


def _minutes(began: float) -> str:
    return f"{(time.perf_counter() - began) / 60:.1f} minutes"


class Desk:
    """Where a person works: a warehouse, a folder of dataset files, and logins that read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.datasets = folder / "datasets"
        self.datasets.mkdir()
        self.end_at = hour_floor(datetime.now(UTC))
        self.environment = os.environ | {
            "TSAD_HOME": str(folder / "home"), "TSAD_DATASETS": str(self.datasets)
        }  # fmt: skip
        self.cluster: Cluster = ensure_running(folder / "home" / "postgres", durable=False)

    def store(self, name: str) -> tuple[Database, Path]:
        """An empty database for a system of that name, and its folder."""
        place = self.folder / name
        place.mkdir()
        return Database.made(self.cluster, name), place

    def tsad(self, *words: str) -> str:
        """What the command printed; the benchmark ends where it fails."""
        began = time.perf_counter()
        done = subprocess.run(
            [str(Path(sys.executable).with_name("tsad")), *words],
            env=self.environment, capture_output=True, text=True, check=False, cwd=project_folder(),
        )  # fmt: skip
        print(f"$ tsad {' '.join(words)}  # {time.perf_counter() - began:.0f} s")
        if done.returncode:
            sys.exit(f"Expected it to succeed. Received: {done.stdout}{done.stderr}")
        return done.stdout

    def write_example(self, name: str, tags: str, **settings: object) -> None:
        """A dataset file as the guide's example says, for the channels of the tags file."""
        (example,) = re.findall(rf"```yaml\n# {name}\n(.*?)```", _GUIDE.read_text("utf-8"), re.S)
        source = {"connection": name, **yaml.safe_load(example), **settings}
        if tags:
            source["tags"] = f"{name}.tags.csv"
            (self.datasets / f"{name}.tags.csv").write_text(tags, encoding="utf-8")
        text = yaml.safe_dump({"dataset": name, "source": source}, allow_unicode=True)
        (self.datasets / f"{name}.yaml").write_text(text, encoding="utf-8")

    def checked(self, name: str) -> str:
        """What `tsad datasets check` says of an hour's cost; nothing else may be wrong."""
        said = self.tsad("datasets", "check", name)
        print(said.rstrip())
        costs = re.findall(r"An hour reads ([\d,]+) rows and uses ([\d,]+)", said)
        numbers = [[int(one.replace(",", "")) for one in cost] for cost in costs]
        read, used = (sum(all_of) for all_of in zip(*numbers, strict=True))
        return f"{read:,} rows read for {used:,} used"

    def is_right(self, name: str, step_s: int, value: Value) -> bool:
        """Whether each reading of the last day is what the other system was told, and is there."""
        start_at = self.end_at - timedelta(days=1)
        self.tsad("ingest", name, "--from", f"{start_at:%Y-%m-%dT%H:%M}", "--to", self.end_text)
        with closing(connect(self.cluster.uri(WAREHOUSE))) as found, found.cursor() as cursor:
            cursor.execute(_READINGS, (start_at, self.end_at, name))
            got = {(who, what, int(at.timestamp())): one for who, what, at, one in cursor}
        steps = range(int(start_at.timestamp()), int(self.end_at.timestamp()), step_s)
        pairs = {(who, what) for who, what, _ in got}
        told = {(*pair, at): value(*pair, at) for pair in pairs for at in steps}
        wrong = [
            (key, got.get(key), told.get(key))
            for key in sorted(got.keys() | told.keys())
            if not _is_same(got.get(key), told.get(key))
        ]
        print(f"{name}: {len(got):,} readings, {len(wrong):,} wrong {wrong[:3] or ''}")
        return bool(got) and not wrong

    def score(self, name: str, hours: int) -> None:
        """A model of what was before the last hours, and their scores."""
        start = f"{self.end_at - timedelta(hours=hours):%Y-%m-%dT%H:%M}"
        print(self.tsad("retrain", name, "--end", start).rstrip())
        print(self.tsad("score", name, "--from", start, "--to", self.end_text).rstrip())

    @property
    def end_text(self) -> str:
        """End of what was told, as a person types it."""
        return f"{self.end_at:%Y-%m-%dT%H:%M}"


def main() -> None:
    """Run each system, and say whether all held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SYSTEMS))
    parser.add_argument("--download", action="store_true", help="fetch what is missing")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(SYSTEMS):
        sys.exit(f"Expected of {', '.join(SYSTEMS)}. Received: {', '.join(unknown)}.")
    held = {}
    with tempfile.TemporaryDirectory(prefix="tsad-stores-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        desk = Desk(folder)
        try:
            for one in asked.names or SYSTEMS:
                held[one] = SYSTEMS[one](desk, asked.download)
                print(f"== {one}: {'held' if held[one] else 'FAILED'}", flush=True)
        finally:
            remove(folder / "home" / "postgres")
    sys.exit(0 if all(held.values()) else "Expected all to hold. Received: see above.")


def _zabbix(desk: Desk, may_download: bool, suite: str = "") -> bool:
    """Three pumps, of which one loses pressure on the last day: from the draft to the incident."""
    name = "_".join(filter(None, ("zabbix", suite)))
    programs = unpacked(
        _FETCHED / (suite or "debian"), zabbix.PACKAGES[suite],
        may_download=may_download, suite=suite,
    )  # fmt: skip
    database, place = desk.store(name)
    print(zabbix.fill(programs, database, place, desk.end_at))
    desk.environment[f"TSAD_CONNECTION_{name.upper()}"] = database.reader_uri()
    pumps, all_items = f"{name}_pumps", f"{name}_all"
    began = time.perf_counter()
    print(desk.tsad("datasets", "draft", name).rstrip())
    chosen = [word for item in zabbix.ITEMS[:3] for word in ("--channel", item)]
    desk.tsad("datasets", "draft", name, "--group", "Pumps", *chosen, "--out", pumps)
    print((desk.datasets / f"{pumps}.yaml").read_text(encoding="utf-8").rstrip())
    cost = desk.checked(pumps)
    desk.score(pumps, 12)
    print(f"{name}: {_minutes(began)} from draft to first score; {cost}")
    said = desk.tsad("anomalies", pumps)
    print(said.rstrip())
    desk.tsad("datasets", "draft", name, "--group", "Pumps", "--out", all_items)
    means = zabbix.means(int(desk.end_at.timestamp()))
    is_right = desk.is_right(all_items, zabbix.STEP_S, lambda *key: means.get(key))
    return is_right and "Pump 3: pressure fell" in " ".join(said.split())


def _zabbix_7(desk: Desk, may_download: bool) -> bool:
    """The same with Zabbix 7.0, which Debian 13 has."""
    return _zabbix(desk, may_download, "trixie")


def _home_assistant(desk: Desk, may_download: bool) -> bool:
    """A cellar, whose sensor is lost for an hour a day, and a fan."""
    python = home_assistant.installed(_FETCHED / "home_assistant", may_download=may_download)
    database, place = desk.store("home_assistant")
    print(home_assistant.fill(python, database, place, desk.end_at))
    desk.environment["TSAD_CONNECTION_HOME_ASSISTANT"] = database.reader_uri()
    began = time.perf_counter()
    desk.tsad("datasets", "draft", "home_assistant", "--entity", "home", "--out", "home")
    print((desk.datasets / "home.yaml").read_text(encoding="utf-8").rstrip())
    cost = desk.checked("home")
    desk.score("home", 5)
    print(f"home_assistant: {_minutes(began)} from draft to first score; {cost}")
    return desk.is_right("home", 60, lambda _, channel, at: home_assistant.value_at(channel, at))


def _collectd(desk: Desk, may_download: bool) -> bool:
    """Temperatures, and the octets of a network card as rates."""
    programs = unpacked(_FETCHED / "debian", collectd.PACKAGES, may_download=may_download)
    database, place = desk.store("collectd")
    print(collectd.fill(programs, database, place, desk.end_at))
    desk.environment["TSAD_CONNECTION_COLLECTD"] = database.reader_uri()
    tags = "id,name,entity,channel\n" + collectd.tags(database)
    channels: dict[str, object] = {"coil": {"unit": "°C"}, "received": {}, "sent": {}}
    desk.write_example("collectd", tags, channels=channels, step=f"{collectd.STEP_S}s")
    print(f"collectd: {desk.checked('collectd')}")
    return desk.is_right("collectd", collectd.STEP_S, collectd.value_at)


def _icinga(desk: Desk, may_download: bool) -> bool:
    """Temperatures of bearings in performance data."""
    programs = unpacked(_FETCHED / "debian", icinga.PACKAGES, may_download=may_download)
    database, place = desk.store("icinga")
    print(icinga.fill(programs, database, place, desk.end_at))
    desk.environment["TSAD_CONNECTION_ICINGA"] = database.reader_uri()
    desk.write_example("icinga", "", step=f"{icinga.STEP_S}s")
    print(f"icinga: {desk.checked('icinga')}")
    return desk.is_right(
        "icinga", icinga.STEP_S, lambda host, _, at: icinga.value_at(at, int(host[-1]))
    )


SYSTEMS: dict[str, Callable[[Desk, bool], bool]] = {
    "zabbix": _zabbix, "zabbix_7": _zabbix_7, "home_assistant": _home_assistant,
    "collectd": _collectd, "icinga": _icinga,
}  # fmt: skip


if __name__ == "__main__":
    main()
