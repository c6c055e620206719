"""Where artifacts are."""

from __future__ import annotations

import os
import re
from datetime import datetime

from upath import UPath

from tsad_tasks.base.places import home_folder
from tsad_tasks.storage.artifacts import place


def artifacts_root() -> UPath:
    """Folder or object store of bundles, run files and reports: `TSAD_ARTIFACTS`, else
    `.tsad/artifacts`.

    `place` says what it raises.
    """
    return place(os.environ.get("TSAD_ARTIFACTS") or str(home_folder() / "artifacts"))


def run_folder(dag_id: str, run_id: str) -> UPath:
    """Folder of the files that the tasks of one run hand to one another."""
    return artifacts_root() / "runs" / _plain(dag_id) / _plain(run_id)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)


def report_path(dataset: str, start_at: datetime, end_at: datetime) -> UPath:
    """Where the PDF of a period goes."""
    name = f"{dataset}_{start_at:%Y%m%dT%H%M}_{end_at:%Y%m%dT%H%M}.pdf"
    return artifacts_root() / "reports" / dataset / name
