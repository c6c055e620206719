"""First of three steps: what a training learns from, less what is left out, scaled, in windows.

The range is read twice. Task `exclusions` measures all that scales, commissioning rules and the
refusal of too many exclusions need; task `windows` makes windows with these scales, and keeps the
readings that the later tasks need.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsad_tasks.base.enums import TrainingDecision
from tsad_tasks.base.errors import BadInput, NothingToDo
from tsad_tasks.model.periods import dominant_period
from tsad_tasks.storage.datasets import select_dataset
from tsad_tasks.storage.json_files import write_json
from tsad_tasks.training import retrain, survey
from tsad_tasks.training.commissioning import Commissioning
from tsad_tasks.training.exclusions import exclusions_of, refusal
from tsad_tasks.training.kept import keep_readings
from tsad_tasks.training.queries import SELECT_TRAINED_MODEL
from tsad_tasks.training.reader import (
    Scope,
    TrainingReader,
    evenly,
    stored_readings,
    training_scopes,
)
from tsad_tasks.training.retrain import Count, Retraining, with_chosen_window
from tsad_tasks.training.survey import Scales, Survey
from tsad_tasks.training.youth import Share, ages_s, length_s, not_young, share_of, too_early

# So many sentences on events are told at most.
_MOST_SAID = 5


def find_exclusions(run: Retraining) -> Count:
    """Task `exclusions`: scopes to train, what each leaves out, and what its readings are like.

    Raises
    ------
    NothingToDo
        When this very training was registered before, and its model passed the gate. One that it
        refused is done again: readings, what is known of them, or the gate may be others by now.
    BadInput
        When too much would be left out; a row of `training_decision` says so.
    """
    store, config = run.store, run.config
    lengths, is_auto = _lengths(run), config.detector.window == "auto"
    scopes = [scope for scope, _ in lengths]
    if not is_auto:
        # Before anything is read. A window that is still to be chosen is part of what was trained,
        # and so is the detector where readings do not fill the range.
        shares = {
            scope.entity_id: Share(length)
            for scope, length in lengths
            if length == config.training.range_s
        }
        scopes = _untrained(run, scopes, shares)
    keys = np.array([key for scope in scopes for _, key in scope.entities])
    looked_at = set(evenly(keys, survey.MAX_PERIOD_ENTITIES).tolist())
    periods: list[int | None] = []

    def look(entity_id: int, clean: NDArray[np.float64]) -> None:
        if is_auto and entity_id in looked_at:
            periods.append(dominant_period(clean, survey.LONGEST_PERIOD))

    read, surveys = stored_readings(store, config), {}
    shares = {}
    with store.transaction():
        for scope, length in lengths:
            if scope not in scopes:
                continue
            part = run.with_share(Share(length))
            excluded = exclusions_of(store, part.config, scope, part.span, run.lineage)
            reader = TrainingReader(read, part.config, part.span, excluded)
            commissioning = Commissioning.of_scope(store, config.dataset, scope, run.lineage)
            found = survey.surveyed(reader, scope, commissioning, look)
            surveys[scope.entity_id] = found
            shares[scope.entity_id] = share_of(config, length, found.weekdays)
    if is_auto:
        run = run.with_window(survey.period_window(len(looked_at), periods))
    scopes = _untrained(run, scopes, shares)
    for scope in scopes:
        first, share = surveys[scope.entity_id], shares[scope.entity_id]
        _stop_if_little_is_left(run.with_share(share), scope, first)
        run.folder_of(scope).write("survey", first)
    shares = {scope.entity_id: shares[scope.entity_id] for scope in scopes}
    write_json(run.plan_path, retrain.TrainingPlan(run.config.detector.n_steps, scopes, shares))
    n_exclusions = sum(len(surveys[scope.entity_id].exclusions) for scope in scopes)
    counts = {"n_scopes": len(scopes), "n_exclusions": n_exclusions}
    n_young = sum(share.is_young for share in shares.values())
    said = dict.fromkeys(
        text for scope in scopes for text in surveys[scope.entity_id].rare_events(config)
    )
    rare = {"rare_events": list(said)[:_MOST_SAID]} if said else {}
    return counts | ({"n_young": n_young} if n_young else {}) | rare


def _lengths(run: Retraining) -> list[tuple[Scope, int]]:
    """Scopes that are due, each with the seconds of its range.

    Raises
    ------
    NothingToDo
        When none is: readings are too few yet, or nothing is young.
    """
    store, config, found = run.store, run.config, []
    with store.transaction():
        scopes = training_scopes(store, config)
        ages = ages_s(store, config, scopes, run.end_at)
        if run.only_young:
            scopes = [scope for scope in scopes if run.is_due(scope, ages[scope.entity_id])]
    if not scopes:
        raise not_young(config)
    for scope in scopes:
        length = length_s(config, ages[scope.entity_id], run.end_at)
        if length is not None and not (run.only_young and length == config.training.range_s):
            found.append((scope, length))
    if not found:
        raise too_early(config, max(age or 0 for age in ages.values()), run.end_at)
    return found


def _stop_if_little_is_left(run: Retraining, scope: Scope, found: Survey) -> None:
    """Raises BadInput where too much is left out, with a row that says so."""
    left_out = found.left_out
    if left_out.doubtful_share > run.config.training.max_excluded_share:
        reason = refusal(run.config, run.span, scope, left_out)
        ranking = {name: share for name, _, share in left_out.ranking()}
        shown: dict[str, Any] = {
            "n_readings": left_out.n_running - left_out.n_excluded,
            "n_entities": len(scope.entities),
            "excluded_share": left_out.share,
            "left_out": json.dumps(ranking),
        }
        # Nobody was asked, so nothing else was looked at.
        shown |= {"pdf": "", "missing_share": None, "jumps": "[]"}
        said = TrainingDecision.STOPPED, "exclusions", reason, run.store.now()
        retrain.write_training_decision(run, *said, shown)
        raise BadInput(reason)


def _untrained(
    run: Retraining, scopes: Sequence[Scope], shares: Mapping[int, Share]
) -> list[Scope]:
    """The scopes of which no model of this training has passed the gate; one at least.

    Those whose share is not known yet are among them.
    """
    found, dataset = [], select_dataset(run.store, run.config.dataset)
    of_run: dict[str, Any] = {
        "dataset_id": dataset.dataset_id,
        "lineage": run.lineage,
        "seed": run.chosen_seed,
        "sha256": None,
    }
    for scope in scopes:
        share = shares.get(scope.entity_id)
        same = of_run | (_training_of(run.with_share(share)) if share else {})
        of = {"scope_entity_id": scope.entity_id}
        model = run.store.first(SELECT_TRAINED_MODEL, **same, **of) if share else None
        if model is None or not model.gate_passed:
            found.append(scope)
    if not found:
        raise NothingToDo(
            f"{run.config.dataset} was trained on this range, with this configuration and seed, "
            "before; its model passed the gate."
        )
    return found


def _training_of(run: Retraining) -> dict[str, Any]:
    """What says which training it is, of one scope."""
    ends = {"train_start_at": run.span.start_at, "train_end_at": run.span.end_at}
    return ends | {"config_hash": run.config.model_hash}


def make_features(run: Retraining) -> Count:
    """Task `features`: scales, fitted on training readings only.

    Raises
    ------
    BadInput
        When there is less running time than `training.min_hours`.
    """
    run, hours = with_chosen_window(run), 0.0
    for scope, folder in run.scopes():
        part = run.of(scope)
        scales = survey.scales_of(part.config, part.span, folder.read("survey", Survey))
        folder.write("scales", scales)
        hours += sum(scales.running_hours.values())
    return {"running_hours": round(hours, 1)}


def make_windows(run: Retraining) -> Count:
    """Task `windows`: windows to learn from, and the readings that calibration and gate look at.

    Raises
    ------
    BadInput
        When there is no complete window.
    """
    run, n_windows, n_available = with_chosen_window(run), 0, 0
    read = stored_readings(run.store, run.config)
    for scope, folder in run.scopes():
        reader, scales = run.of(scope).reader(read, folder), folder.read("scales", Scales)
        path = folder.path / "readings.npz"
        with run.store.transaction():
            kept = keep_readings(path, reader, scope, scales, seed=run.chosen_seed)
        n_windows += kept.n_windows
        n_available += kept.n_available
    return {"n_windows": n_windows, "n_available": n_available}
