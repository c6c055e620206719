"""Home Assistant's core and recorder, to which sensors of a house report changes for two days."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from real_stores.store import Database

PACKAGES = (
    *("homeassistant==2024.1.6", "SQLAlchemy==2.0.23", "fnv-hash-fast==0.5.0"),
    *("psutil-home-assistant==0.0.1", "psycopg2-binary"),
)
N_HOURS, _FAN = 48, ("off", "on")
_WRITER = Path(__file__).with_name("home_assistant_writer.py")


def installed(folder: Path, *, may_download: bool) -> Path:
    """The interpreter of an environment with Home Assistant."""
    python, mark = folder / "bin" / "python", folder / "installed"
    if not mark.exists():
        if not may_download:
            sys.exit(f"Expected --download, or Home Assistant in {folder}. Received: none.")
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        mark.touch()
    return python


def value_at(channel: str, second: int) -> float | None:
    """What a channel is in a step that begins then."""
    if channel == "fan":
        return float(second // 3600 % 3 > 0)
    state = _cellar_at(second)
    return None if state == "unavailable" else float(state)


def _cellar_at(second: int) -> str:
    """What the cellar's sensor says from this second on; it is lost for an hour each day."""
    return "unavailable" if second % 86400 // 3600 == 5 else f"{8 + second // 1200 % 40 / 8:g}"


def fill(python: Path, database: Database, folder: Path, end_at: datetime) -> str:
    """Let its recorder write states; says what was written."""
    states = "".join(_states(int(end_at.timestamp())))
    subprocess.run(
        [python, _WRITER, database.uri, folder], input=states, text=True, check=True, timeout=600
    )
    n_told = len(states.splitlines())
    (n_rows,) = database.row("SELECT count(*) FROM states")
    return f"{n_told:,} states told; {n_rows:,} rows"


def _states(end_s: int) -> Iterator[str]:
    for second in range(end_s - N_HOURS * 3600, end_s, 1200):
        yield f"{second + 0.25}\tsensor.cellar\t{_cellar_at(second)}\t°C\n"
        yield f"{second + 0.5}\tswitch.fan\t{_FAN[second // 3600 % 3 > 0]}\t\n"
        yield f"{second + 0.75}\tsensor.forecast\tcloudy\t\n"
