"""One retraining: what is trained on which range, and the folder of files between its tasks.

Each task goes through the dataset's scopes (one, or one per entity) and leaves one file for each:
`exclusions` survey.json, `features` scales.json, `windows` readings.npz, `train` trained.npz and
the detector's files, `calibrate` calibrated.npz, `gate` gate.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from numpy.typing import NDArray

from tsad_tasks.base.enums import Lineage
from tsad_tasks.base.places import Folder
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.base import Progress
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.json_files import read_json, write_json
from tsad_tasks.storage.store import Store
from tsad_tasks.training.kept import Kept, kept_readings
from tsad_tasks.training.queries import INSERT_TRAINING_DECISION, SELECT_CHAMPION_AT, ChampionAt
from tsad_tasks.training.reader import Read, Scope, TrainingRange, TrainingReader, training_range
from tsad_tasks.training.survey import Survey
from tsad_tasks.training.youth import Share, age_limit_s, config_of_share, with_detector

Count = dict[str, Any]
Value = TypeVar("Value")


@dataclass(frozen=True)
class ScopeFolder:
    """The files of one scope."""

    path: Folder

    def read(self, name: str, kind: type[Value]) -> Value:
        """The content of a JSON file: survey, scales or gate."""
        return read_json(self.path / f"{name}.json", kind)

    def write(self, name: str, value: Any, kind: Any = None) -> None:
        """Writes a JSON file."""
        write_json(self.path / f"{name}.json", value, kind)

    def kept(
        self, config: DatasetConfig
    ) -> AbstractContextManager[tuple[Kept, Read, Mapping[str, NDArray[Any]]]]:
        """What task `windows` kept."""
        return kept_readings(self.path / "readings.npz", config.step_s)


@dataclass(frozen=True)
class TrainingPlan:
    """Which scopes are to be trained, with windows of so many steps, and what each has to learn."""

    window: int
    scopes: list[Scope]
    shares: dict[int, Share] = field(default_factory=dict)


@dataclass(frozen=True)
class Retraining:
    """One retraining: what, on which range, for which lineage, and where its files go.

    Attributes
    ----------
    only_young : only scopes without a champion, or with a young one: what is due every day.
    """

    store: Store
    config: DatasetConfig
    end_at: datetime
    folder: Folder
    artifacts: Folder
    lineage: str = Lineage.LIVE
    seed: int | None = None
    progress: Progress | None = None
    only_young: bool = False

    @property
    def span(self) -> TrainingRange:
        return training_range(self.config, self.end_at)

    @property
    def chosen_seed(self) -> int:
        return self.config.training.seed if self.seed is None else self.seed

    @property
    def plan_path(self) -> Folder:
        """Where task `exclusions` leaves the plan."""
        return self.folder / "plan.json"

    def scopes(self) -> Iterator[tuple[Scope, ScopeFolder]]:
        """Scopes that task `exclusions` left to train, each with its folder."""
        for scope in read_json(self.plan_path, TrainingPlan).scopes:
            yield scope, self.folder_of(scope)

    def share(self, scope: Scope) -> Share:
        """What task `exclusions` found that a scope has to learn from."""
        shares = read_json(self.plan_path, TrainingPlan).shares
        return shares.get(scope.entity_id, Share(self.config.training.range_s))

    def of(self, scope: Scope) -> Retraining:
        """The retraining of one scope, whose readings may not fill the range yet."""
        return self.with_share(self.share(scope))

    def with_share(self, share: Share) -> Retraining:
        """The retraining of what has so much to learn from."""
        return replace(self, config=config_of_share(self.config, share))

    def folder_of(self, scope: Scope) -> ScopeFolder:
        """Where the files of a scope are."""
        return ScopeFolder(self.folder / f"scope_{scope.entity_id}")

    def reader(self, read: Read, folder: ScopeFolder) -> TrainingReader:
        """Readings of the range, without what task `exclusions` left out of a scope."""
        exclusions = folder.read("survey", Survey).exclusions
        return TrainingReader(read, self.config, self.span, exclusions)

    def champion(self, scope: Scope) -> ChampionAt | None:
        """The champion that a challenger has to beat."""
        name, at = self.config.dataset, self.span.end_at
        return champion_at(self.store, name, scope.entity_id, self.lineage, at)

    def is_due(self, scope: Scope, age_s: int | None) -> bool:
        """Whether a scope is trained every day whose readings reach so far back: while it is young,
        and has no champion or a young one.
        """
        if age_s is None or age_s >= age_limit_s(self.config):
            return False
        champion = self.champion(scope)
        return champion is None or champion.is_young

    def instead(self, scope: Scope, name: str) -> Retraining:
        """The retraining of one scope with another detector, in a folder of its own; what task
        `exclusions` found of the scope is the same.
        """
        folder = self.folder / f"instead_{name}"
        made = replace(self, config=with_detector(self.config, name), folder=folder)
        plan, share = read_json(self.plan_path, TrainingPlan), self.share(scope)
        own = TrainingPlan(plan.window, [scope], {scope.entity_id: share})
        write_json(made.plan_path, own)
        survey = self.folder_of(scope).read("survey", Survey)
        made.folder_of(scope).write("survey", survey)
        return made

    def with_window(self, window: int) -> Retraining:
        """The retraining with windows of so many steps."""
        detector = self.config.detector.model_copy(update={"window": window})
        return replace(self, config=self.config.model_copy(update={"detector": detector}))


def champion_at(
    store: Store, dataset: str, scope_entity_id: int, lineage: str, at: datetime
) -> ChampionAt | None:
    """The champion of a dataset, or of one of its entities, at a moment."""
    return store.first(
        SELECT_CHAMPION_AT,
        dataset_id=select_dataset(store, dataset).dataset_id,
        scope_entity_id=scope_entity_id,
        lineage=lineage,
        at=at,
    )


def with_chosen_window(run: Retraining) -> Retraining:
    """The retraining with the window that task `exclusions` chose, if the dataset asks for that."""
    if run.config.detector.window != "auto":
        return run
    return run.with_window(read_json(run.plan_path, TrainingPlan).window)


def write_training_decision(
    run: Retraining,
    decision: str,
    by: str,
    reason: str,
    decided_at: datetime,
    shown: Mapping[str, Any],
) -> None:
    """Writes whether a training goes on, who decided that, and what was shown; once."""
    row = {"decision": decision, "decided_by": by, "reason": reason, "decided_at": decided_at}
    with run.store.transaction():
        of: dict[str, Any] = {
            "dataset_id": select_dataset(run.store, run.config.dataset).dataset_id
        }
        of |= {"lineage": run.lineage} | run.span.whole._asdict()
        run.store.execute(INSERT_TRAINING_DECISION, **row, **of, **shown)
