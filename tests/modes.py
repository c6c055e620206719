"""What others than its owner may read of a folder."""

from __future__ import annotations

import stat
from pathlib import Path


def open_to_others(folder: Path) -> list[str]:
    """Files with any right for others, and folders that they may list or write, with their modes.

    Root's database server runs under another account, which walks through some folders.
    """
    found = []
    for path in [folder, *sorted(folder.rglob("*"))]:
        mode = path.lstat().st_mode
        refused = 0o066 if stat.S_ISDIR(mode) else 0o077
        if not stat.S_ISLNK(mode) and mode & refused:
            found.append(f"{path.relative_to(folder)} {stat.S_IMODE(mode):o}")
    return found
