"""What is done in one place alone: telling the time, and writing files."""

from __future__ import annotations

import ast
from pathlib import Path

from tsad_tasks.base.places import project_folder

ROOMS = ("tsad_tasks", "dags", "plugins")
# Who may ask this machine's clock, and for what.
CLOCKS = {
    "tsad_tasks/base/clock.py": "the one function that does",
    "tsad_tasks/ingest/sources/base.py": "how late rows are seen, of a source without a clock",
    "tsad_tasks/pipeline/ranges.py": "the name of a command's run",
    "plugins/tsad_bridge.py": "when Airflow, by its own clock, is to wake a task",
    "plugins/tsad_headless.py": "when Airflow's own row of a run says that it started",
}
ASK = {"now", "utcnow", "today", "time", "time_ns", "utc_now"}
OF = {"datetime", "date", "time", "pendulum", "timezone"}
# Who may write files by itself, and what.
WRITERS = {
    "tsad_tasks/base/files.py": "the one place that does",
    "tsad_tasks/storage/arrays.py": "members of an archive that is written whole",
    "tsad_tasks/cli/datasets.py": "a dataset file for a person, and for the account of Airflow",
    "tsad_tasks/cli/training.py": "a scratch folder that goes with the command",
    "tsad_tasks/detectors/neural/training/weights.py": "into memory",
    "tsad_tasks/detectors/pca.py": "into memory",
    "tsad_tasks/detectors/bundle.py": "a draft's folder, renamed when it is whole",
}
WRITE = {
    *("write_text", "write_bytes", "touch", "mkdir", "makedirs", "mkdtemp", "save_weights"),
    *("savez", "savez_compressed", "tofile", "to_csv", "to_parquet", "replace_file"),
}


def _calls(path: Path) -> list[ast.Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def _asks_clock(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Name):
        return call.func.id == "utc_now"
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in ASK:
        return False
    value = call.func.value
    owner = value.id if isinstance(value, ast.Name) else getattr(value, "attr", "")
    # `time(hour)` of datetime makes a time, and is called by its name alone.
    return owner in OF


def _writes(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    is_open = name == "open" or (isinstance(call.func, ast.Name) and call.func.id == "open")
    modes = [one.value for one in [*call.args, *(word.value for word in call.keywords)]
             if isinstance(one, ast.Constant) and isinstance(one.value, str)]  # fmt: skip
    is_writing = any(set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in modes)
    return name in WRITE or (is_open and is_writing)


def _files_with(found: object) -> set[str]:
    assert callable(found)
    root = project_folder()
    paths = [path for room in ROOMS for path in (root / room).rglob("*.py")]
    assert len(paths) > 200
    return {
        str(path.relative_to(root)) for path in paths if any(found(call) for call in _calls(path))
    }


def test_only_those_who_are_named_ask_the_clock_of_this_machine() -> None:
    assert _files_with(_asks_clock) == set(CLOCKS)


def test_only_those_who_are_named_write_files_by_themselves() -> None:
    assert _files_with(_writes) == set(WRITERS)
