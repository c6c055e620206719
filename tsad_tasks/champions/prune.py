"""Bundles that nothing refers to any more: which ones, why the others stay, and their removal.

The row comes first: once it is committed that a bundle is given up, its folder goes with all
folders that no row refers to. A kill between the two leaves a folder that the next run removes, and
never a row whose folder is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tsad_tasks.base.places import Folder
from tsad_tasks.champions.queries import SELECT_MODEL_USES, UPDATE_PRUNED_MODELS, ModelUse
from tsad_tasks.config import DatasetConfig
from tsad_tasks.storage.datasets import lock_dataset, select_dataset
from tsad_tasks.storage.folders import Contents, folders_below, place_now, remove_folder
from tsad_tasks.storage.store import Store

KEPT_CHAMPIONS = 3
LEFTOVER_AGE = timedelta(days=7)

# Folders that `store_bundle` names, and what a killed writer of one leaves beside it.
_BUNDLE = re.compile(r"[0-9a-f]{16}|\.[0-9a-f]{16}-\w+")


@dataclass(frozen=True)
class PruneDecision:
    """What becomes of a version's bundle, and why. `n_bytes` is 0 where it is kept."""

    version: int
    is_pruned: bool
    because: str
    n_bytes: int = 0


@dataclass(frozen=True)
class PruneSummary:
    """What became of each bundle, and folders that no version refers to.

    Attributes
    ----------
    leftovers : folders that were removed, or would be: of a training that was killed before it
        registered its model, or of a version that an earlier run gave up.
    n_bytes : of everything that was removed, or would be.
    """

    decisions: tuple[PruneDecision, ...] = ()
    leftovers: tuple[str, ...] = ()
    n_bytes: int = 0

    @property
    def pruned(self) -> tuple[int, ...]:
        """Versions whose bundles are gone, or would be."""
        return tuple(one.version for one in self.decisions if one.is_pruned)


def why_kept(use: ModelUse, *, used_before: datetime, scored_before: datetime | None) -> str | None:
    """Why a bundle must stay; None where nothing needs it.

    Parameters
    ----------
    used_before : what was trained, or was champion or in the shadow, later than this stays.
    scored_before : scores before this are not kept; None: all are.
    """
    if use.is_in_use:
        return "champion or in the shadow"
    if use.is_waiting:
        return "it waits for its place in the shadow"
    if use.place is not None and use.place <= KEPT_CHAMPIONS:
        return f"one of the last {KEPT_CHAMPIONS} champions"
    if use.is_parent_in_use:
        return "parent of a champion or of a challenger in the shadow"
    if use.scored_until is not None and (scored_before is None or use.scored_until > scored_before):
        return "its scores are kept"
    return "still young" if use.used_until >= used_before else None


def prune_bundles(
    store: Store,
    config: DatasetConfig,
    root: Folder,
    *,
    newest_at: datetime,
    kept_s: int,
    dry_run: bool = False,
    now: Callable[[], datetime] | None = None,
) -> PruneSummary:
    """Gives up a dataset's bundles that nothing refers to; removes their folders below `root`.

    Parameters
    ----------
    newest_at : of the dataset's readings, from which ages count.
    kept_s : for so many seconds after it was last of use a bundle stays in any case.
    dry_run : only say what would become of each.
    now : tells how old a folder is that no row ever referred to, by default by the clock that
        stamps files there.
    """
    used_before, place = newest_at - timedelta(seconds=kept_s), root / config.dataset
    scores_s, found = config.retention.scores_s, folders_below(place)
    scored_before = None if scores_s is None else newest_at - timedelta(seconds=scores_s)
    because = (
        f"nothing refers to it, and it was last of use before {used_before:%Y-%m-%d %H:%M} UTC"
    )
    with store.transaction():
        dataset_id = select_dataset(store, config.dataset).dataset_id
        # Nobody becomes champion meanwhile.
        lock_dataset(store, dataset_id, "champion")
        uses = store.rows(SELECT_MODEL_USES, dataset_id=dataset_id)
        kept = _kept(uses, found, used_before, scored_before)
        if not dry_run:
            given_up = [use.model_id for use in uses if use.model_id not in kept]
            store.execute(UPDATE_PRUNED_MODELS, model_ids=given_up, because=because)
    files_now = now() if now else place_now(root)
    folders = _removable(uses, kept, found, files_now - LEFTOVER_AGE)
    if not dry_run:
        for name in folders:
            remove_folder(place / name)
    standing = [use for use in uses if not use.is_pruned]
    decisions = []
    for use in standing:
        folder, reason = folders.get(use.folder_name), kept.get(use.model_id)
        n_bytes = folder.n_bytes if folder else 0
        decisions.append(PruneDecision(use.version, reason is None, reason or because, n_bytes))
    own = {use.folder_name for use in standing}
    leftovers = tuple(name for name in folders if name not in own)
    n_bytes = sum(folder.n_bytes for folder in folders.values())
    return PruneSummary(tuple(decisions), leftovers, n_bytes)


def _kept(
    uses: Sequence[ModelUse],
    found: Mapping[str, Contents],
    used_before: datetime,
    scored_before: datetime | None,
) -> dict[int, str]:
    """Why bundles stay, by model."""
    kept: dict[int, str] = {}
    for use in (use for use in uses if not use.is_pruned):
        reason = why_kept(use, used_before=used_before, scored_before=scored_before)
        if reason or use.folder_name not in found:
            kept[use.model_id] = reason or "its folder is in another place"
    needed = {use.folder_name for use in uses if use.model_id in kept}
    shared = [use for use in uses if use.folder_name in needed and not use.is_pruned]
    return {use.model_id: "another version has the same bundle" for use in shared} | kept


def _removable(
    uses: Sequence[ModelUse],
    kept: Mapping[int, str],
    found: Mapping[str, Contents],
    old_before: datetime,
) -> dict[str, Contents]:
    """Folders whose versions are given up, and old ones of ours that no version refers to."""
    needed = {use.folder_name for use in uses if use.model_id in kept}
    given_up = {use.folder_name for use in uses} - needed
    ours = {name: folder for name, folder in found.items() if _BUNDLE.fullmatch(name)}
    return {
        name: folder
        for name, folder in ours.items()
        if name not in needed and (name in given_up or folder.written_at < old_before)
    }
