"""Who is champion: registration, the challenger's shadow, promotion and rollback, one transaction
each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from tsad_tasks.base.enums import Decision, Lineage, Stage
from tsad_tasks.base.errors import BadInput, NothingToDo
from tsad_tasks.base.interval import hours_later
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.champions.queries import (
    DELETE_REFUSAL,
    INSERT_EXCLUSIONS,
    INSERT_MODEL_DECISION,
    SELECT_CHAMPION_PERIODS,
    SELECT_MODEL_VERSION,
    SELECT_SHADOW_BEGUN,
    SELECT_SHADOWS,
    SELECT_WAITED_FOR,
    SELECT_WAITING_MODEL,
    KnownModel,
    ModelDecision,
    OpenShadow,
    Period,
    Waiting,
    rule_results,
    write_rule_results,
)
from tsad_tasks.champions.records import end_periods, insert_model, open_period
from tsad_tasks.config import DatasetConfig
from tsad_tasks.scoring.queries import SELECT_LATEST_SCORED_HOUR
from tsad_tasks.storage.datasets import lock_dataset, select_dataset, select_entities
from tsad_tasks.storage.store import Store, columns
from tsad_tasks.training.queries import ChampionScope, Exclusion, NewModel, TrainedModel

# So long a challenger keeps its place in the shadow, however few hours are scored: a newer one
# waits.
LONGEST_SHADOW = timedelta(weeks=4)


@dataclass(frozen=True)
class RegisterSummary:
    """The registered model and what became of it: champion from `valid_from`, or in the shadow from
    `shadow_from`.

    Attributes
    ----------
    waits_for : version of the challenger whose place in the shadow it waits for.
    """

    model_id: int
    version: int
    gate_passed: bool
    promoted: bool
    valid_from: datetime | None
    shadow_from: datetime | None
    failed_rules: list[str]
    waits_for: int | None = None


def register_model(
    store: Store,
    model: NewModel,
    outcome: Sequence[RuleResult],
    exclusions: Sequence[Exclusion],
    *,
    in_shadow: bool = True,
) -> RegisterSummary:
    """Registers a model with its gate and exclusions; what passed goes into the shadow of the
    champion.

    The first model of a scope has nobody to be compared with: it is champion at once. A model that
    the gate refused before is judged anew when the same bundle comes again: the gate, its readings
    and its champion may be others now.

    Parameters
    ----------
    in_shadow : False makes it champion at once in any case.
    """
    with store.transaction():
        lock_dataset(store, model.dataset_id, "champion")
        registered = insert_model(store, model)
        refused = [] if registered.gate_passed else _failed_rules(store, registered)
        is_new = bool(refused) or not rule_results(store, registered.model_id)
        if not registered.gate_passed:
            store.execute(DELETE_REFUSAL, model_id=registered.model_id)
            write_rule_results(store, registered.model_id, outcome)
        store.execute(
            INSERT_EXCLUSIONS, model_id=registered.model_id, **columns(exclusions, Exclusion)
        )
        failed = _failed_rules(store, registered)
        valid_from = shadow_from = None
        if failed:
            if failed != refused:
                _decide(
                    store,
                    model.scope,
                    registered.model_id,
                    Decision.GATE_FAILED,
                    Stage.GATE,
                    ", ".join(failed),
                )
        elif in_shadow and champion_periods(store, model.scope):
            shadow_from = _start_shadow(store, model, registered, is_new=is_new)
            valid_from = _first_hour(champion_periods(store, model.scope), registered.model_id)
        else:
            valid_from = _promote_at_once(store, model, registered)
        waits_for = store.first(SELECT_WAITED_FOR, model_id=registered.model_id)
    promoted = valid_from is not None
    return RegisterSummary(
        registered.model_id,
        registered.version,
        not failed,
        promoted,
        valid_from,
        shadow_from,
        failed,
        waits_for,
    )


def _failed_rules(store: Store, registered: TrainedModel) -> list[str]:
    return [row.rule for row in rule_results(store, registered.model_id) if not row.passed]


def champion_periods(store: Store, scope: ChampionScope) -> list[Period]:
    """Model, first hour and end of each period, oldest first."""
    return store.rows(SELECT_CHAMPION_PERIODS, **asdict(scope))


def _first_hour(periods: Sequence[Period], model_id: int) -> datetime | None:
    return next((valid_from for key, valid_from, _ in periods if key == model_id), None)


def _next_hour(store: Store, scope: ChampionScope, at: datetime) -> datetime:
    """The first hour from `at` on that no live champion has scored yet; `at` itself in other
    lineages.
    """
    if scope.lineage != Lineage.LIVE:
        return at
    scored = store.one(
        SELECT_LATEST_SCORED_HOUR,
        dataset_id=scope.dataset_id,
        scope_entity_id=scope.scope_entity_id,
        lineage=scope.lineage,
    )
    return max(at, hours_later(scored, 1)) if scored else at


def _decide(
    store: Store,
    scope: ChampionScope,
    model_id: int,
    decision: str,
    by: str,
    reason: str,
    *,
    valid_from: datetime | None = None,
    former: int | None = None,
) -> None:
    store.execute(
        INSERT_MODEL_DECISION,
        **asdict(ModelDecision(model_id, scope.lineage, decision, by, reason, valid_from, former)),
    )


def _start_shadow(
    store: Store, model: NewModel, registered: TrainedModel, *, is_new: bool
) -> datetime | None:
    """The first hour that the challenger is scored beside the champion; None while it waits for its
    place.

    A challenger that was there before keeps its place when hours of its shadow are scored; else it
    yields. Of those that wait only the newest goes on waiting.
    """
    if not is_new:
        return _first_hour(champion_periods(store, model.scope.shadow), registered.model_id)
    waiting = _waiting(store, model.scope, before=registered)
    if waiting is not None:
        _supersede(store, model.scope, waiting.model_id, registered)
    for former in _shadows(store, model.scope):
        since = former.valid_from
        has_begun = store.one(
            SELECT_SHADOW_BEGUN, **asdict(model.scope), model_id=former.model_id, start_at=since
        )
        if has_begun and model.train_end_at - since < LONGEST_SHADOW:
            reason = f"version {former.version} is in the shadow since {since:%Y-%m-%d %H:%M} UTC"
            _decide(
                store, model.scope, registered.model_id, Decision.WAITING, Stage.GATE, reason,
                former=former.model_id,
            )  # fmt: skip
            return None
        _yield_place(store, model.scope, former, registered, model.train_end_at)
    return _enter_shadow(store, model.scope, registered.model_id, model.train_end_at)


def _yield_place(
    store: Store,
    scope: ChampionScope,
    former: OpenShadow,
    newer: TrainedModel | Waiting,
    at: datetime,
) -> None:
    _end_shadow(store, scope, former, _next_hour(store, scope, at))
    _supersede(store, scope, former.model_id, newer)


def _supersede(
    store: Store, scope: ChampionScope, model_id: int, newer: TrainedModel | Waiting
) -> None:
    reason = f"version {newer.version} came"
    _decide(store, scope, model_id, Decision.SUPERSEDED, Stage.GATE, reason, former=newer.model_id)


def _enter_shadow(store: Store, scope: ChampionScope, model_id: int, at: datetime) -> datetime:
    """The first hour of a challenger in a shadow that is free."""
    taken = [valid_to for _, _, valid_to in champion_periods(store, scope.shadow)]
    start_at = max([_next_hour(store, scope, at), *taken])
    open_period(store, scope.shadow, model_id, valid_from=start_at, reason="gate passed")
    _decide(
        store,
        scope,
        model_id,
        Decision.SHADOW_STARTED,
        Stage.GATE,
        "all rules passed",
        valid_from=start_at,
    )
    return start_at


def _waiting(
    store: Store, scope: ChampionScope, before: TrainedModel | None = None
) -> Waiting | None:
    """The challenger that waits, unless a newer one has passed its gate since (`before`: another
    than that).
    """
    params = asdict(scope) | {"before_version": before.version if before else None}
    return store.first(SELECT_WAITING_MODEL, **params)


def _fill_shadow(store: Store, scope: ChampionScope) -> None:
    """Gives a free place in the shadow to the challenger that waits for it."""
    waiting = _waiting(store, scope)
    if waiting is not None and not _shadows(store, scope):
        _enter_shadow(store, scope, waiting.model_id, waiting.train_end_at)


def replace_old_shadow(
    store: Store, scope: ChampionScope, shadow: OpenShadow, *, at: datetime
) -> int | None:
    """Version of the waiting challenger that takes the place of one that is undecided for too long;
    None: it stays.
    """
    with store.transaction():
        lock_dataset(store, scope.dataset_id, "champion")
        waiting = _waiting(store, scope)
        is_there = shadow.model_id in [one.model_id for one in _shadows(store, scope)]
        if waiting is None or not is_there or at - shadow.valid_from < LONGEST_SHADOW:
            return None
        _yield_place(store, scope, shadow, waiting, at)
        _enter_shadow(store, scope, waiting.model_id, at)
        return waiting.version


def _shadows(store: Store, scope: ChampionScope) -> list[OpenShadow]:
    found = store.rows(SELECT_SHADOWS, dataset_id=scope.dataset_id, lineage=scope.lineage)
    return [shadow for shadow in found if shadow.scope_entity_id == scope.scope_entity_id]


def _end_shadow(store: Store, scope: ChampionScope, shadow: OpenShadow, at: datetime) -> None:
    """Nobody is in the shadow from `at` on; what was scored until then stays."""
    end_periods(store, scope.shadow, max(at, hours_later(shadow.valid_from, 1)))


def _promote_at_once(store: Store, model: NewModel, registered: TrainedModel) -> datetime | None:
    """When the model's period starts; its own start when it was champion before.

    The end of the training range; live, after a first champion, the next hour that no champion has
    scored yet. It ends where a later period follows.
    """
    periods = champion_periods(store, model.scope)
    if (known := _first_hour(periods, registered.model_id)) is not None:
        return known
    start_at = _next_hour(store, model.scope, model.train_end_at) if periods else model.train_end_at
    if any(valid_from == start_at for _, valid_from, _ in periods):
        return None
    later = min((valid_from for _, valid_from, _ in periods if valid_from > start_at), default=None)
    former = next(
        (key for key, valid_from, valid_to in periods if valid_from < start_at < valid_to), None
    )
    open_period(
        store,
        model.scope,
        registered.model_id,
        valid_from=start_at,
        valid_to=later,
        reason="gate passed",
    )
    reason = "gate passed" if periods else "the first champion"
    _decide(
        store,
        model.scope,
        registered.model_id,
        Decision.PROMOTED,
        Stage.GATE,
        reason,
        valid_from=start_at,
        former=former,
    )
    return start_at


# By hand, and after a shadow
# -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChampionChange:
    """Who is champion now, from which hour, and in whose place."""

    version: int
    valid_from: datetime
    former_version: int | None


def promote(
    store: Store,
    config: DatasetConfig,
    version: int,
    *,
    by: str,
    reason: str,
    at: datetime | None = None,
    lineage: str = Lineage.LIVE,
) -> ChampionChange:
    """Makes a model champion from the next hour that is not scored yet, and takes it out of the
    shadow.

    Who waits for the place in the shadow takes it.

    Parameters
    ----------
    at : not before this hour; None: the end of its training range.

    Raises
    ------
    BadInput
        When there is no such version, its bundle was pruned, or it is champion already.
    """
    with store.transaction():
        model, scope = locked_model(store, config, version, lineage)
        former = _current(champion_periods(store, scope))
        if former is not None and former[0] == model.model_id:
            raise BadInput(
                f"Expected a version that is not champion of {config.dataset}. Received: "
                f"{version}, which is."
            )
        valid_from = _next_hour(store, scope, max(filter(None, (at, model.train_end_at))))
        for shadow in _shadows(store, scope):
            if shadow.model_id == model.model_id:
                _end_shadow(store, scope, shadow, valid_from)
        change = _take_over(
            store, config, scope, model, former, valid_from, Decision.PROMOTED, by, reason
        )
        _fill_shadow(store, scope)
        return change


def roll_back(
    store: Store,
    config: DatasetConfig,
    *,
    by: str,
    reason: str,
    version: int | None = None,
    at: datetime | None = None,
    entity: str | None = None,
    lineage: str = Lineage.LIVE,
) -> ChampionChange:
    """Makes a former champion champion again, from the hour at which the present one took over.

    The rows of the present champion leave the views; they stay in the tables. The hours since then
    have to be scored again by the one that is back: `score_interval` does it.

    Parameters
    ----------
    version : of a former champion; None: the one before the present champion.
    at : from this whole hour on; None: where the present champion took over.

    Raises
    ------
    BadInput
        When there is no champion, none before it, or the version never was one, or its bundle was
        pruned.
    """
    with store.transaction():
        dataset = select_dataset(store, config.dataset)
        entity_id = (
            0 if entity is None else select_entities(store, dataset.dataset_id).get(entity, -1)
        )
        scope = ChampionScope(dataset.dataset_id, entity_id, lineage)
        lock_dataset(store, dataset.dataset_id, "champion")
        periods = champion_periods(store, scope)
        present = _current(periods)
        if present is None:
            raise BadInput(
                f"Expected a champion of {config.dataset} to roll back from. Received: none."
            )
        model = _former_model(store, config, periods, present, version, lineage)
        check_bundle(config, model.version, model.pruned_at)
        return _take_over(
            store, config, scope, model, present, at or present[1], Decision.ROLLED_BACK, by, reason
        )


def end_shadow(
    store: Store,
    scope: ChampionScope,
    shadow: OpenShadow,
    *,
    at: datetime,
    decision: str,
    by: str,
    reason: str,
) -> None:
    """Takes a challenger out of the shadow for good; the champion stays, and who waits takes its
    place.
    """
    with store.transaction():
        lock_dataset(store, scope.dataset_id, "champion")
        if shadow.model_id not in [one.model_id for one in _shadows(store, scope)]:
            raise NothingToDo(f"Version {shadow.version} is not in the shadow any more.")
        _end_shadow(store, scope, shadow, at)
        _decide(store, scope, shadow.model_id, decision, by, reason)
        _fill_shadow(store, scope)


def _model_of(
    store: Store, config: DatasetConfig, *, version: int | None = None, model_id: int | None = None
) -> KnownModel:
    params = {"dataset": config.dataset, "version": version, "model_id": model_id}
    model = store.first(SELECT_MODEL_VERSION, **params)
    if model is None:
        raise BadInput(
            f"Expected the version of a model of {config.dataset}. Received: {version}. See: tsad "
            "models"
        )
    return model


def locked_model(
    store: Store, config: DatasetConfig, version: int, lineage: str
) -> tuple[KnownModel, ChampionScope]:
    """A version that can be used, and what it may speak for; nobody prunes it until the transaction
    ends.
    """
    dataset = select_dataset(store, config.dataset)
    lock_dataset(store, dataset.dataset_id, "champion")
    model = _model_of(store, config, version=version)
    check_bundle(config, version, model.pruned_at)
    return model, ChampionScope(dataset.dataset_id, model.scope_entity_id, lineage)


def check_bundle(config: DatasetConfig, version: int, pruned_at: datetime | None) -> None:
    """Raises BadInput where the bundle of a version was pruned."""
    if pruned_at is not None:
        raise BadInput(
            f"Expected a version of {config.dataset} whose bundle is kept. Received: {version}, "
            "pruned at "
            f"{pruned_at:%Y-%m-%d %H:%M} UTC. Choose another (tsad models {config.dataset}), or "
            "train one on its range "
            "with another seed."
        )


def _current(periods: Sequence[Period]) -> Period | None:
    return periods[-1] if periods and periods[-1][2].year == 9999 else None


def _former_model(
    store: Store,
    config: DatasetConfig,
    periods: Sequence[Period],
    present: Period,
    version: int | None,
    lineage: str,
) -> KnownModel:
    before = [key for key, _, _ in periods if key != present[0]]
    if version is not None:
        model = _model_of(store, config, version=version)
        if model.model_id not in before:
            raise BadInput(
                f"Expected a former {lineage} champion of {config.dataset}. Received: version "
                f"{version}."
            )
        return model
    if not before:
        raise BadInput(
            f"Expected a champion of {config.dataset} before the present one. Received: it is the "
            "first."
        )
    return _model_of(store, config, model_id=before[-1])


def _take_over(
    store: Store,
    config: DatasetConfig,
    scope: ChampionScope,
    model: KnownModel,
    former: Period | None,
    valid_from: datetime,
    decision: str,
    by: str,
    reason: str,
) -> ChampionChange:
    """One model's place is another's, from an hour on, with the row that says so."""
    end_periods(store, scope, valid_from)
    open_period(store, scope, model.model_id, valid_from=valid_from, reason=reason)
    beaten = _model_of(store, config, model_id=former[0]) if former else None
    former_id = beaten.model_id if beaten else None
    _decide(
        store, scope, model.model_id, decision, by, reason, valid_from=valid_from, former=former_id
    )
    return ChampionChange(model.version, valid_from, beaten.version if beaten else None)
