"""The tasks of a retraining, one function each, handing files to one another in the run's folder.

Each goes through the dataset's scopes (one, or one per entity) and leaves a folder per scope.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, cast

from upath import UPath

from tsad_tasks.base.clock import utc_now
from tsad_tasks.base.errors import BadInput, NothingToDo
from tsad_tasks.base.interval import from_unix_s, unix_s
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.champions.champions import RegisterSummary, register_model
from tsad_tasks.config import DatasetConfig, deprecations_of
from tsad_tasks.detectors.base import Detector, Progress, TrainingHistory, make_folder
from tsad_tasks.detectors.bundle import Bundle, read_bundle, store_bundle
from tsad_tasks.detectors.folding.fold import FoldDetector
from tsad_tasks.detectors.registry import detector_class, load_detector
from tsad_tasks.ingest.ingest import IngestSummary, ingest_interval
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.canary import canary_of
from tsad_tasks.storage.artifacts import place
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.store import Store
from tsad_tasks.training.commissioning import (
    commissioning_levels,
    freeze_references,
)
from tsad_tasks.training.exclusions import (
    LeftOut,
    exclusions_of,
    extreme_values,
    refusal,
    too_much_left_out,
)
from tsad_tasks.training.fit import (
    FoldErrors,
    FoldGroup,
    PreparedTraining,
    Scales,
    Scope,
    TrainingRange,
    TrainingReader,
    fit_detector,
    fit_folding,
    fit_scales,
    move_to_anchor,
    period_window,
    prepare_training,
    spec_after,
    training_range,
    training_scopes,
)
from tsad_tasks.training.fold_groups import fold_groups
from tsad_tasks.training.gate import (
    GateOutcome,
    calibrate_model,
    held_out_readings,
    model_card,
    new_model,
    run_gate,
)
from tsad_tasks.training.queries import (
    SELECT_CHAMPION_AT,
    SELECT_TRAINED_MODEL,
    ChampionAt,
    Exclusion,
)

Count = dict[str, Any]
log = logging.getLogger("tsad")

_FOLD_ERRORS_FILE, _SPLIT_SPEC_FILE, _GROUPS_FILE = (
    "fold_errors_{}.npz",
    "spec_at_split.json",
    "fold_groups.json",
)


@dataclass(frozen=True)
class Challenger:
    """A calibrated model that is not registered yet.

    Attributes
    ----------
    spec, judged : spec and detector as they are at the split, where held-out readings begin.
    """

    uri: str
    bundle: Bundle
    spec: ModelSpec
    judged: Detector


@dataclass(frozen=True)
class Retraining:
    """One retraining: what, on which range, for which lineage, and where its files go."""

    store: Store
    config: DatasetConfig
    end_at: datetime
    folder: UPath
    artifacts: UPath
    lineage: str = "live"
    seed: int | None = None

    @property
    def span(self) -> TrainingRange:
        return training_range(self.config, self.end_at)

    @property
    def chosen_seed(self) -> int:
        return self.config.training.seed if self.seed is None else self.seed

    def scopes(self) -> Iterator[tuple[Scope, UPath]]:
        """Scopes that task `exclusions` left to train, each with its folder."""
        for fields in json.loads((self.folder / "scopes.json").read_text()):
            entities = tuple((name, key) for name, key in fields["entities"])
            yield (
                Scope(fields["entity_id"], fields["name"], entities),
                self.folder / f"scope_{fields['entity_id']}",
            )

    def reader(self, folder: UPath) -> TrainingReader:
        """The readings of the range, without what task `exclusions` left out for the scope of a
        folder.
        """
        return TrainingReader.of_store(self.store, self.config, self.span, _exclusions(folder))

    def challenger(self, folder: UPath) -> Challenger:
        """What task `calibrate` made for the scope of a folder."""
        made = json.loads((folder / "bundle.json").read_text())
        bundle = read_bundle(place(made["uri"]), expected_sha256=made["sha256"])
        if not bundle.detector.folds:
            return Challenger(
                made["uri"], bundle, ModelSpec.from_json(bundle.spec), bundle.detector
            )
        # The states of a folding model in its bundle are those after what is judged.
        spec = ModelSpec.from_json(json.loads((folder / _SPLIT_SPEC_FILE).read_text()))
        return Challenger(made["uri"], bundle, spec, load_detector(folder / "detector"))

    def champion(self, scope: Scope) -> ChampionAt | None:
        """The champion that a challenger has to beat."""
        dataset = select_dataset(self.store, self.config.dataset)
        return self.store.first(
            SELECT_CHAMPION_AT,
            dataset_id=dataset.dataset_id,
            scope_entity_id=scope.entity_id,
            lineage=self.lineage,
            at=self.span.end_at,
        )


def settled(run: Retraining) -> Retraining:
    """The retraining with a window chosen from its readings, where the dataset asks for that; once,
    for all tasks.
    """
    if run.config.detector.window != "auto":
        return run
    path = run.folder / "window.json"
    if not path.exists():
        scopes = training_scopes(run.store, run.config)
        everybody = Scope(0, "all", tuple(entity for scope in scopes for entity in scope.entities))
        found = exclusions_of(run.store, run.config, everybody, run.span, run.lineage)
        reader = TrainingReader.of_store(run.store, run.config, run.span, found)
        make_folder(run.folder)
        path.write_text(json.dumps(period_window(reader, everybody)))
    detector = run.config.detector.model_copy(update={"window": json.loads(path.read_text())})
    return replace(run, config=run.config.model_copy(update={"detector": detector}))


def find_exclusions(run: Retraining) -> Count:
    """Task `exclusions`: scopes to train, and what each leaves out.

    Raises
    ------
    NothingToDo
        When this very training was registered before, and its model passed the gate. One that the
        gate refused is done again: the readings, what is known of them, or the gate may be others
        by now.
    BadInput
        When too much would be left out; a row of `training_decision` says so.
    """
    run = settled(run)
    scopes = [
        scope for scope in training_scopes(run.store, run.config) if not _is_trained(run, scope)
    ]
    if not scopes:
        raise NothingToDo(
            f"{run.config.dataset} was trained on this range, with this configuration and seed, "
            "before; "
            "its model passed the gate."
        )
    make_folder(run.folder)
    (run.folder / "scopes.json").write_text(json.dumps([asdict(scope) for scope in scopes]))
    n_excluded = 0
    for scope, folder in run.scopes():
        found = exclusions_of(run.store, run.config, scope, run.span, run.lineage)
        _check_left_out(run, scope, found)
        make_folder(folder)
        _write_exclusions(folder, found)
        n_excluded += len(found)
    return {"n_scopes": len(scopes), "n_exclusions": n_excluded}


def _check_left_out(run: Retraining, scope: Scope, exclusions: Sequence[Exclusion]) -> None:
    reader = TrainingReader.of_store(run.store, run.config, run.span, exclusions)
    found = too_much_left_out(reader, scope, exclusions)
    if found is not None:
        reason = refusal(reader, scope, found)
        _write_stop(run, scope, found, reason)
        raise BadInput(reason)


def _write_stop(run: Retraining, scope: Scope, found: LeftOut, reason: str) -> None:
    """The row that says that a rule stopped this training; nobody was asked, so nothing else was
    looked at.
    """
    shares = {name: share for name, _, share in found.ranking()}
    shown = {
        "n_readings": found.n_running - found.n_excluded,
        "n_entities": len(scope.entities),
        "pdf": "",
    }
    shown |= {
        "excluded_share": found.share,
        "missing_share": None,
        "left_out": json.dumps(shares),
        "jumps": "[]",
    }
    write_training_decision(run, "stopped", "exclusions", reason, utc_now(), shown)


def write_training_decision(
    run: Retraining,
    decision: str,
    by: str,
    reason: str,
    decided_at: datetime,
    shown: Mapping[str, Any],
) -> None:
    """Writes whether a training goes on, who decided that, and the numbers shown; the same again is
    no new row.
    """
    row: dict[str, Any] = {
        "decision": decision,
        "decided_by": by,
        "reason": reason,
        "decided_at": decided_at,
        **shown,
    }
    row |= {"lineage": run.lineage, "start_at": run.span.start_at, "end_at": run.span.end_at}
    with run.store.transaction():
        row["dataset_id"] = select_dataset(run.store, run.config.dataset).dataset_id
        run.store.execute("insert_training_decision", row)


def _is_trained(run: Retraining, scope: Scope) -> bool:
    """Whether this training was done: a model of it passed the gate."""
    dataset = select_dataset(run.store, run.config.dataset)
    key = {
        "dataset_id": dataset.dataset_id,
        "scope_entity_id": scope.entity_id,
        "lineage": run.lineage,
    }
    key |= {
        "train_start_at": run.span.start_at,
        "train_end_at": run.span.end_at,
        "seed": run.chosen_seed,
    }
    key |= {"config_hash": run.config.model_hash, "sha256": None}
    found = run.store.first(SELECT_TRAINED_MODEL, **key)
    return found is not None and bool(found.gate_passed)


def _write_exclusions(folder: UPath, found: Sequence[Exclusion]) -> None:
    rows = [
        asdict(row) | {"start_at": unix_s(row.start_at), "end_at": unix_s(row.end_at)}
        for row in found
    ]
    (folder / "exclusions.json").write_text(json.dumps(rows))


def _exclusions(folder: UPath) -> list[Exclusion]:
    rows = json.loads((folder / "exclusions.json").read_text())
    return [
        Exclusion(
            **row | {"start_at": from_unix_s(row["start_at"]), "end_at": from_unix_s(row["end_at"])}
        )
        for row in rows
    ]


def make_features(run: Retraining) -> Count:
    """Task `features`: scales, fitted on training readings only."""
    run = settled(run)
    hours = 0.0
    for scope, folder in run.scopes():
        scales = fit_scales(run.reader(folder), scope)
        (folder / "scales.json").write_text(json.dumps(scales.to_json()))
        hours += sum(scales.running_hours.values())
    return {"running_hours": round(hours, 1)}


def _scales(folder: UPath) -> Scales:
    return Scales.from_json(json.loads((folder / "scales.json").read_text()))


def make_windows(run: Retraining) -> Count:
    """Task `windows`: windows to learn from, sampled evenly over entities and time."""
    run, n_used, n_available = settled(run), 0, 0
    for scope, folder in run.scopes():
        prepared = prepare_training(run.reader(folder), scope, _scales(folder))
        prepared.save(folder / "windows.npz")
        n_used += len(prepared.ends)
        n_available += prepared.n_available
    return {"n_windows": n_used, "n_available": n_available}


def train(run: Retraining, progress: Progress | None = None) -> Count:
    """Task `train`: fits a detector for each scope.

    Raises
    ------
    BadInput
        Where one takes longer than `training.timeout`; it leaves no model.
    """
    for text in deprecations_of(run.config):
        log.warning("%s", text)
    run, n_epochs, seconds = settled(run), 0, 0.0
    for scope, folder in run.scopes():
        detector, history = _fitted(run, scope, folder, progress)
        detector.save(folder / "detector")
        (folder / "history.json").write_text(json.dumps(asdict(history)))
        n_epochs += len(history.loss)
        seconds += history.seconds
    return {"n_epochs": n_epochs, "seconds": round(seconds, 1)} | _learned_from(run)


def _learned_from(run: Retraining) -> Count:
    """Since when folding detectors learned, where that is not the whole range, and how many
    entities are judged.
    """
    if not detector_class(run.config.detector.name).folds:
        return {}
    found, of_scopes = {}, list(run.scopes())
    late = max(
        part.start_at for scope, folder in of_scopes for part in _fold_errors(run, scope, folder)
    )
    if late > run.span.start_at:
        found["learned_from"] = f"{late:%Y-%m-%d %H:%M} UTC (training.max_fold_values)"
    n_chosen = sum(len(_groups(run, scope, folder)[0].entities) for scope, folder in of_scopes)
    if n_chosen < (n_entities := sum(len(scope.entities) for scope, _ in of_scopes)):
        found["judged"] = f"{n_chosen:,} of {n_entities:,} entities (training.max_fold_values)"
    return found


def _groups(run: Retraining, scope: Scope, folder: UPath) -> list[FoldGroup]:
    """The groups of entities that a folding detector was fitted on, the choice first; all together
    for the others.
    """
    path = folder / _GROUPS_FILE
    if not path.exists():
        return [FoldGroup(scope.entities, run.span)]
    return [FoldGroup.from_json(fields) for fields in json.loads(path.read_text())]


def _fold_errors(run: Retraining, scope: Scope, folder: UPath) -> list[FoldErrors]:
    """Errors of what was learned, by group."""
    n_groups = len(_groups(run, scope, folder))
    return [
        FoldErrors.load(folder / _FOLD_ERRORS_FILE.format(number)) for number in range(n_groups)
    ]


def _fitted(
    run: Retraining, scope: Scope, folder: UPath, progress: Progress | None
) -> tuple[Detector, TrainingHistory]:
    if detector_class(run.config.detector.name).folds:
        return _fitted_fold(run, scope, folder)
    prepared = PreparedTraining.load(folder / "windows.npz")
    started_from = _warm_start(run, scope)
    return fit_detector(
        run.config, prepared, seed=run.chosen_seed, progress=progress, warm_start=started_from
    )


def _fitted_fold(run: Retraining, scope: Scope, folder: UPath) -> tuple[Detector, TrainingHistory]:
    reader, scales, seed = run.reader(folder), _scales(folder), run.chosen_seed
    groups = fold_groups(reader, scope, scales, seed=seed)
    (folder / _GROUPS_FILE).write_text(json.dumps([group.to_json() for group in groups]))
    detector, history, found = fit_folding(reader, groups, scales, seed=seed)
    for number, errors in enumerate(found):
        errors.save(folder / _FOLD_ERRORS_FILE.format(number))
    return detector, history


def _warm_start(run: Retraining, scope: Scope) -> Detector | None:
    """The champion whose weights come first; its own first model has none to begin with.

    Raises
    ------
    BadInput
        When another dataset is named that has no champion yet.
    """
    name = run.config.training.warm_start_from
    if name is None:
        return None
    if name == "champion":
        champion = run.champion(scope)
    else:
        other = select_dataset(run.store, name)
        champion = run.store.first(
            SELECT_CHAMPION_AT,
            dataset_id=other.dataset_id,
            scope_entity_id=0,
            lineage="live",
            at=run.span.end_at,
        )
        if champion is None:
            raise BadInput(
                f"training.warm_start_from: Expected a dataset with a champion. Received: {name}, "
                "without."
            )
    if champion is None:
        return None
    return read_bundle(place(champion.artifact_uri), expected_sha256=champion.sha256).detector


def _history(folder: UPath) -> TrainingHistory:
    fields = json.loads((folder / "history.json").read_text())
    return TrainingHistory(
        **fields | {name: tuple(fields[name]) for name in ("loss", "validation_loss")}
    )


def calibrate(run: Retraining) -> Count:
    """Task `calibrate`: limits from held-out readings, and the finished bundle."""
    run, uris = settled(run), []
    n_entities = sum(len(scope.entities) for scope in training_scopes(run.store, run.config))
    for scope, folder in run.scopes():
        detector, scales = load_detector(folder / "detector"), _scales(folder)
        groups = _groups(run, scope, folder)
        held_out = [
            part for group in groups for part in held_out_readings(run.reader(folder), group)
        ]
        spec = calibrate_model(run.config, scales, detector, held_out, n_entities=n_entities)
        if detector.folds:
            spec = _moved_to_anchor(run, scope, folder, cast(FoldDetector, detector), spec)
        prepared = PreparedTraining.load(folder / "windows.npz")
        card = model_card(
            run.config,
            scope,
            run.span,
            scales,
            prepared,
            detector,
            _history(folder),
            seed=run.chosen_seed,
            learned_from_at=_fold_errors(run, scope, folder)[0].start_at
            if detector.folds
            else None,
            incidents_per_day=spec.expected_incidents_per_day,
        )
        canary = canary_of(spec, detector, held_out)
        uri, sha256 = store_bundle(
            run.artifacts / run.config.dataset,
            detector,
            spec.to_json(),
            card,
            canary.to_json() if canary else None,
        )
        (folder / "bundle.json").write_text(json.dumps({"uri": str(uri), "sha256": sha256}))
        uris.append(str(uri))
    return {"bundles": uris}


def _moved_to_anchor(
    run: Retraining, scope: Scope, folder: UPath, detector: FoldDetector, spec: ModelSpec
) -> ModelSpec:
    """The spec at the anchor, to which the detector's states are moved; the one at the split is
    kept for the gate.
    """
    at_split, groups = spec, _groups(run, scope, folder)
    for group, errors in zip(groups, _fold_errors(run, scope, folder), strict=True):
        at_split = spec_after(at_split, [name for name, _ in group.entities], errors)
    (folder / _SPLIT_SPEC_FILE).write_text(json.dumps(at_split.to_json()))
    return move_to_anchor(detector, run.reader(folder), groups, _scales(folder), at_split)


def gate(run: Retraining) -> Count:
    """Task `gate`: the challenger's numbers beside the champion's, rule by rule."""
    run = settled(run)
    failed: dict[str, list[str]] = {}
    for scope, folder in run.scopes():
        found, history = run.challenger(folder), _history(folder)
        held_out = held_out_readings(run.reader(folder), _groups(run, scope, folder)[0])
        levels = commissioning_levels(run.store, run.reader(folder), scope, run.lineage)
        outcome = run_gate(
            run.config,
            found.spec,
            found.judged,
            history,
            held_out,
            run.champion(scope),
            seed=run.chosen_seed,
            levels=levels,
            n_entities=len(scope.entities),
        )
        (folder / "gate.json").write_text(json.dumps([asdict(row) for row in outcome.rows]))
        failed[scope.name] = _failed(outcome)
    return {"failed_rules": failed}


def _failed(outcome: GateOutcome) -> list[str]:
    return [row.rule for row in outcome.rows if not row.passed]


def register(run: Retraining) -> list[RegisterSummary]:
    """Task `register`: the models' rows, with gate and exclusions, and who is champion from
    when.
    """
    run = settled(run)
    dataset = select_dataset(run.store, run.config.dataset)
    summaries = []
    for scope, folder in run.scopes():
        found = run.challenger(folder)
        model = new_model(
            run.config,
            scope,
            run.span,
            found.spec,
            dataset_id=dataset.dataset_id,
            lineage=run.lineage,
            parent=run.champion(scope),
            seed=run.chosen_seed,
            artifact_uri=found.uri,
            sha256=found.bundle.sha256,
            card=_timed_card(found.bundle.card, _history(folder)),
        )
        rows = [RuleResult(**row) for row in json.loads((folder / "gate.json").read_text())]
        left_out = [*_exclusions(folder), *_extreme(run, scope, folder)]
        in_shadow = run.config.shadow.hours > 0
        summaries.append(register_model(run.store, model, rows, left_out, in_shadow=in_shadow))
        if summaries[-1].gate_passed:
            _freeze(run, scope, folder, summaries[-1].model_id)
    return summaries


def _timed_card(card: dict[str, Any], history: TrainingHistory) -> dict[str, Any]:
    """A bundle's card and how long the training took, which is no part of the bundle."""
    return card | {"training": card["training"] | {"seconds": history.seconds}}


def _extreme(run: Retraining, scope: Scope, folder: UPath) -> list[Exclusion]:
    """Values that no window was learned from; a folding detector takes them as they are."""
    if detector_class(run.config.detector.name).folds:
        return []
    return extreme_values(PreparedTraining.load(folder / "windows.npz"), scope, run.span)


def _freeze(run: Retraining, scope: Scope, folder: UPath, model_id: int) -> None:
    """The commissioning references that a training which passed the gate makes."""
    with run.store.transaction():
        levels = commissioning_levels(run.store, run.reader(folder), scope, run.lineage)
        freeze_references(run.store, run.lineage, model_id, levels)


def ingest_history(run: Retraining, source_uri: str) -> IngestSummary:
    """Task `ingest_history`: readings of the whole range that are not there yet, in chunks."""
    span = run.span
    return ingest_interval(
        run.store, run.config, source_uri, start_at=span.start_at, end_at=span.end_at
    )


def _register(run: Retraining) -> Count:
    return {"models": [asdict(summary) for summary in register(run)]}


TASKS: dict[str, Callable[[Retraining], Count]] = {
    "exclusions": find_exclusions,
    "features": make_features,
    "windows": make_windows,
    "calibrate": calibrate,
    "gate": gate,
    "register": _register,
}


def retrain(
    run: Retraining,
    *,
    progress: Progress | None = None,
    say: Callable[[str, Count], None] | None = None,
    approve: Callable[[], None] | None = None,
) -> list[RegisterSummary]:
    """All tasks in a row, as the CLI runs them.

    Parameters
    ----------
    approve : called when it is known what will be learned; what it raises stops the training.
    """
    tell = say or (lambda _task, _count: None)
    tell("exclusions", find_exclusions(run))
    if approve is not None:
        approve()
    tell("features", make_features(run))
    tell("windows", make_windows(run))
    tell("train", train(run, progress))
    tell("calibrate", calibrate(run))
    tell("gate", gate(run))
    return register(run)
