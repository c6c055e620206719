"""Who is champion: registration, shadow, promotion and rollback, one transaction each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from tsad_tasks.base.enums import Decision, Lineage, Outcome, Stage
from tsad_tasks.base.errors import BadInput, BundleError, NothingToDo
from tsad_tasks.base.interval import hours_later
from tsad_tasks.base.rule import RuleResult
from tsad_tasks.champions import queries
from tsad_tasks.champions.queries import KnownModel, OpenShadow, Period, Waiting
from tsad_tasks.champions.records import end_periods, insert_model, open_period
from tsad_tasks.config import DatasetConfig
from tsad_tasks.detectors.bundle import read_bundle
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.scoring.features import other_signals
from tsad_tasks.scoring.queries import SELECT_LATEST_SCORED_HOUR
from tsad_tasks.storage.artifacts import artifact_path
from tsad_tasks.storage.datasets import lock_dataset, select_dataset, select_entities
from tsad_tasks.storage.store import Store, columns
from tsad_tasks.training.queries import ChampionScope, Exclusion, NewModel, TrainedModel

# So long a challenger keeps its place in the shadow, however few hours are scored: a newer one
# waits.
LONGEST_SHADOW = timedelta(weeks=4)
OTHER_SIGNALS = "the champion is of other signals"
UNTESTED = "no injected anomaly could be tested"


@dataclass(frozen=True)
class Places:
    """Who is champion of a scope, who is in the shadow beside it, and who waits for that place.

    Nobody else changes it in a transaction that holds the dataset's lock `champion`.
    """

    store: Store
    scope: ChampionScope

    def periods(self) -> list[Period]:
        """Model, first hour and end of each period, oldest first."""
        return self.store.rows(queries.SELECT_CHAMPION_PERIODS, **asdict(self.scope))

    def first_hour(self, model_id: int) -> datetime | None:
        """Where the model's first period begins; None: it has none."""
        return next((one.valid_from for one in self.periods() if one.model_id == model_id), None)

    def present(self) -> Period | None:
        """The period that has no end yet."""
        return next((one for one in self.periods()[-1:] if one.valid_to.year == 9999), None)

    def is_free_or_young(self, model: NewModel) -> bool:
        """Whether no champion, or a young one, holds the hour from which the model would count."""
        at = self.next_hour(model.train_end_at)
        held = [one for one in self.periods() if one.valid_from <= at < one.valid_to]
        return all(one.is_young for one in held)

    def is_of_other_signals(self, model: NewModel, model_id: int, config: DatasetConfig) -> bool:
        """Whether the champion of the hour from which a new model would count can score nothing:
        its channels were something else when it was trained.
        """
        if self.first_hour(model_id) is not None:
            return False
        at = self.next_hour(model.train_end_at)
        held = [one for one in self.periods() if one.valid_from <= at < one.valid_to]
        return bool(held) and all(_is_of_other_signals(self.store, one, config) for one in held)

    def next_hour(self, at: datetime) -> datetime:
        """The first hour from `at` on that no live champion has scored; `at` in other lineages."""
        if self.scope.lineage != Lineage.LIVE:
            return at
        scored_at = self.store.one(SELECT_LATEST_SCORED_HOUR, **asdict(self.scope))
        return max(at, hours_later(scored_at, 1)) if scored_at else at

    def decide(
        self,
        model_id: int,
        decision: str,
        reason: str,
        by: str = Stage.GATE,
        *,
        valid_from: datetime | None = None,
        former: int | None = None,
    ) -> None:
        """Writes what was decided on a model."""
        row = (model_id, self.scope.lineage, decision, by, reason, valid_from, former)
        self.store.execute(queries.INSERT_MODEL_DECISION, **asdict(queries.ModelDecision(*row)))

    def shadows(self) -> list[OpenShadow]:
        """Who is in the shadow: one challenger, or none."""
        of = {"dataset_id": self.scope.dataset_id, "lineage": self.scope.lineage}
        found = self.store.rows(queries.SELECT_SHADOWS, **of)
        return [one for one in found if one.scope_entity_id == self.scope.scope_entity_id]

    def waiting(self, before: TrainedModel | None = None) -> Waiting | None:
        """The challenger that waits, unless a newer one has passed its gate since, but `before`."""
        params = asdict(self.scope) | {"before_version": before.version if before else None}
        return self.store.first(queries.SELECT_WAITING_MODEL, **params)

    def enter_shadow(self, model_id: int, at: datetime) -> datetime:
        """The first hour of a challenger in a shadow that is free."""
        taken = [one.valid_to for one in Places(self.store, self.scope.shadow).periods()]
        start_at = max([self.next_hour(at), *taken])
        open_period(
            self.store, self.scope.shadow, model_id, valid_from=start_at, reason="gate passed"
        )
        self.decide(model_id, Decision.SHADOW_STARTED, "all rules passed", valid_from=start_at)
        return start_at

    def leave_shadow(self, shadow: OpenShadow, at: datetime) -> None:
        """Nobody is in the shadow from `at` on; what was scored until then stays."""
        end_periods(self.store, self.scope.shadow, max(at, hours_later(shadow.valid_from, 1)))

    def yield_to(self, newer: TrainedModel | Waiting, former: OpenShadow, at: datetime) -> None:
        """The place in the shadow is free for a newer challenger."""
        self.leave_shadow(former, self.next_hour(at))
        self.supersede(former.model_id, newer)

    def supersede(self, model_id: int, newer: TrainedModel | Waiting) -> None:
        """Writes that a challenger is given up for a newer one."""
        reason = f"version {newer.version} came"
        self.decide(model_id, Decision.SUPERSEDED, reason, former=newer.model_id)

    def clear_shadow(self, newer: TrainedModel, at: datetime) -> None:
        """Nobody is in the shadow of a new champion from `at` on, and nobody waits for it."""
        for former in self.shadows():
            self.leave_shadow(former, at)
            if former.model_id != newer.model_id:
                self.supersede(former.model_id, newer)
        waiting = self.waiting(before=newer)
        if waiting is not None:
            self.supersede(waiting.model_id, newer)

    def fill_shadow(self) -> None:
        """Gives a free place in the shadow to the challenger that waits for it."""
        waiting = self.waiting()
        if waiting is not None and not self.shadows():
            self.enter_shadow(waiting.model_id, waiting.train_end_at)


@dataclass(frozen=True)
class RegisterSummary:
    """The registered model: champion from `valid_from`, or in the shadow from `shadow_from`.

    Attributes
    ----------
    waits_for : version of the challenger whose place in the shadow it waits for.
    waits_for_person : nothing could be tested of it, so that only a person promotes it.
    """

    model_id: int
    version: int
    gate_passed: bool
    promoted: bool
    valid_from: datetime | None
    shadow_from: datetime | None
    failed_rules: list[str]
    waits_for: int | None = None
    waits_for_person: bool = False


def register_model(
    store: Store,
    model: NewModel,
    outcome: Sequence[RuleResult],
    exclusions: Sequence[Exclusion],
    *,
    in_shadow: bool = True,
    in_youth: bool = False,
    config: DatasetConfig | None = None,
) -> RegisterSummary:
    """Registers a model with its gate and exclusions; what passed goes into the champion's shadow.

    The first model of a scope has nobody to be compared with: it is champion at once. One of which
    no injected anomaly could be tested waits for a person, whoever is champion. A model that
    the gate refused before is judged anew when the same bundle comes again: the gate, its readings
    and its champion may be others now.

    Parameters
    ----------
    in_shadow : False makes it champion at once in any case.
    in_youth : a young champion gives its place at once: beside it a shadow would say little.
    config : what the channels are now: a champion of other signals gives its place at once, since
        it scores nothing that a challenger could be compared with.
    """
    places = Places(store, model.scope)
    with store.transaction():
        lock_dataset(store, model.dataset_id, "champion")
        registered = insert_model(store, model)
        model_id = registered.model_id
        refused = [] if registered.gate_passed else _failed_rules(store, model_id)
        is_new = bool(refused) or not queries.rule_results(store, model_id)
        if not registered.gate_passed:
            store.execute(queries.DELETE_REFUSAL, model_id=model_id)
            queries.write_rule_results(store, model_id, outcome)
        of_model = columns(exclusions, Exclusion)
        store.execute(queries.INSERT_EXCLUSIONS, model_id=model_id, **of_model)
        failed = _failed_rules(store, model_id)
        valid_from = shadow_from = None
        is_untested = not failed and _is_untested(queries.rule_results(store, model_id))
        if failed:
            if failed != refused:
                places.decide(model_id, Decision.GATE_FAILED, ", ".join(failed))
        elif is_untested:
            if is_new:
                places.decide(model_id, Decision.WAITS_FOR_PERSON, UNTESTED)
            valid_from = places.first_hour(model_id)
        elif config is not None and places.is_of_other_signals(model, model_id, config):
            valid_from = _promote_at_once(places, model, model_id, of_other_signals=True)
            if valid_from is not None:
                places.clear_shadow(registered, valid_from)
        elif in_shadow and places.periods() and not (in_youth and places.is_free_or_young(model)):
            shadow_from = _start_shadow(places, model, registered, is_new=is_new)
            valid_from = places.first_hour(model_id)
        else:
            valid_from = _promote_at_once(places, model, model_id)
        waits_for = store.first(queries.SELECT_WAITED_FOR, model_id=model_id)
    became = (valid_from is not None, valid_from, shadow_from)
    waits = waits_for, is_untested and valid_from is None
    return RegisterSummary(model_id, registered.version, not failed, *became, failed, *waits)


def _is_untested(results: Sequence[RuleResult]) -> bool:
    """Whether rules say that a model finds something, and none of them could be tested."""
    tests = [one for one in results if getattr(one.declaration, "is_test", False)]
    return bool(tests) and all(one.outcome is Outcome.NOT_TESTED for one in tests)


def _failed_rules(store: Store, model_id: int) -> list[str]:
    return [row.rule for row in queries.rule_results(store, model_id) if not row.passed]


def _start_shadow(
    places: Places, model: NewModel, registered: TrainedModel, *, is_new: bool
) -> datetime | None:
    """The first hour that the challenger is scored beside the champion; None while it waits.

    A challenger that was there before keeps its place when hours of its shadow are scored; else it
    yields. Of those that wait only the newest goes on waiting.
    """
    store, model_id, at = places.store, registered.model_id, model.train_end_at
    if not is_new:
        return Places(store, model.scope.shadow).first_hour(model_id)
    waiting = places.waiting(before=registered)
    if waiting is not None:
        places.supersede(waiting.model_id, registered)
    for former in places.shadows():
        since, of = former.valid_from, asdict(model.scope) | {"model_id": former.model_id}
        has_begun = store.one(queries.SELECT_SHADOW_BEGUN, **of, start_at=since)
        if has_begun and at - since < LONGEST_SHADOW:
            reason = f"version {former.version} is in the shadow since {since:%Y-%m-%d %H:%M} UTC"
            places.decide(model_id, Decision.WAITING, reason, former=former.model_id)
            return None
        places.yield_to(registered, former, at)
    return places.enter_shadow(model_id, at)


def replace_old_shadow(
    store: Store, scope: ChampionScope, shadow: OpenShadow, *, at: datetime
) -> int | None:
    """Version of the challenger that takes the place of one undecided for too long, if any."""
    places = Places(store, scope)
    with store.transaction():
        lock_dataset(store, scope.dataset_id, "champion")
        waiting = places.waiting()
        is_there = shadow.model_id in [one.model_id for one in places.shadows()]
        if waiting is None or not is_there or at - shadow.valid_from < LONGEST_SHADOW:
            return None
        places.yield_to(waiting, shadow, at)
        places.enter_shadow(waiting.model_id, at)
        return waiting.version


def _is_of_other_signals(store: Store, period: Period, config: DatasetConfig) -> bool:
    """Whether the values of a champion's channels were something else; of a bundle that cannot be
    read nobody knows.
    """
    row = store.one(queries.SELECT_MODEL, model_id=period.model_id)
    try:
        path = artifact_path(row["artifact_uri"])
        bundle = read_bundle(path, expected_sha256=row["sha256"])
    except BundleError:
        return False
    return bool(other_signals(ModelSpec.from_json(bundle.spec), config))


def _promote_at_once(
    places: Places, model: NewModel, model_id: int, *, of_other_signals: bool = False
) -> datetime | None:
    """When the model's period starts; its own start when it was champion before.

    The end of the training range; live, after a first champion, the next hour that no champion has
    scored yet. It ends where a later period follows.

    Parameters
    ----------
    of_other_signals : the former champion can score nothing; where its period begins at the same
        hour, it is replaced.
    """
    if (known := places.first_hour(model_id)) is not None:
        return known
    periods, start_at = places.periods(), model.train_end_at
    start_at = places.next_hour(start_at) if periods else start_at
    later = min((one.valid_from for one in periods if one.valid_from > start_at), default=None)
    if any(one.valid_from == start_at for one in periods):
        if not of_other_signals or later is not None:
            return None
        end_periods(places.store, model.scope, start_at)
    holding = (one.model_id for one in periods if one.valid_from <= start_at < one.valid_to)
    ends: dict[str, Any] = {"valid_from": start_at, "valid_to": later}
    open_period(places.store, model.scope, model_id, reason="gate passed", **ends)
    reason = "gate passed" if periods else "the first champion"
    reason = OTHER_SIGNALS if of_other_signals else reason
    places.decide(
        model_id, Decision.PROMOTED, reason, valid_from=start_at, former=next(holding, None)
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
    """Makes a model champion from the next hour that is not scored yet.

    It leaves the shadow; who waits for its place there takes it.

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
        places = Places(store, scope)
        former = places.present()
        if former is not None and former.model_id == model.model_id:
            raise BadInput(
                f"Expected a version that is not champion of {config.dataset}. Received: "
                f"{version}, which is."
            )
        valid_from = places.next_hour(max(filter(None, (at, model.train_end_at))))
        for shadow in places.shadows():
            if shadow.model_id == model.model_id:
                places.leave_shadow(shadow, valid_from)
        said = Decision.PROMOTED, reason, by
        change = _take_over(places, config, model, former, valid_from, *said)
        places.fill_shadow()
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
        dataset_id = select_dataset(store, config.dataset).dataset_id
        entities = select_entities(store, dataset_id)
        entity_id = 0 if entity is None else entities.get(entity, -1)
        places = Places(store, ChampionScope(dataset_id, entity_id, lineage))
        lock_dataset(store, dataset_id, "champion")
        present = places.present()
        if present is None:
            raise BadInput(
                f"Expected a champion of {config.dataset} to roll back from. Received: none."
            )
        others = (one.model_id for one in places.periods() if one.model_id != present.model_id)
        before = [*others]
        if version is None and not before:
            raise BadInput(
                f"Expected a champion of {config.dataset} before the present one. Received: it is "
                "the first."
            )
        last_id = before[-1] if version is None else None
        model = _model_of(store, config, version=version, model_id=last_id)
        if model.model_id not in before:
            raise BadInput(
                f"Expected a former {lineage} champion of {config.dataset}. Received: version "
                f"{version}."
            )
        check_bundle(config, model.version, model.pruned_at)
        said = Decision.ROLLED_BACK, reason, by
        return _take_over(places, config, model, present, at or present.valid_from, *said)


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
    """Takes a challenger out of the shadow for good; who waits for its place takes it."""
    places = Places(store, scope)
    with store.transaction():
        lock_dataset(store, scope.dataset_id, "champion")
        if shadow.model_id not in [one.model_id for one in places.shadows()]:
            raise NothingToDo(f"Version {shadow.version} is not in the shadow any more.")
        places.leave_shadow(shadow, at)
        places.decide(shadow.model_id, decision, reason, by)
        places.fill_shadow()


def _model_of(
    store: Store, config: DatasetConfig, *, version: int | None = None, model_id: int | None = None
) -> KnownModel:
    params = {"dataset": config.dataset, "version": version, "model_id": model_id}
    model = store.first(queries.SELECT_MODEL_VERSION, **params)
    if model is None:
        raise BadInput(
            f"Expected the version of a model of {config.dataset}. Received: {version}. See: tsad "
            f"models {config.dataset}"
        )
    return model


def locked_model(
    store: Store, config: DatasetConfig, version: int, lineage: str
) -> tuple[KnownModel, ChampionScope]:
    """A version that can be used, and its scope; nobody prunes it in this transaction."""
    dataset_id = select_dataset(store, config.dataset).dataset_id
    lock_dataset(store, dataset_id, "champion")
    model = _model_of(store, config, version=version)
    check_bundle(config, version, model.pruned_at)
    return model, ChampionScope(dataset_id, model.scope_entity_id, lineage)


def check_bundle(config: DatasetConfig, version: int, pruned_at: datetime | None) -> None:
    """Raises BadInput where the bundle of a version was pruned."""
    if pruned_at is not None:
        raise BadInput(
            f"Expected a version of {config.dataset} whose bundle is kept. Received: {version}, "
            f"pruned at {pruned_at:%Y-%m-%d %H:%M} UTC. Choose another (tsad models "
            f"{config.dataset}), or train one on its range with another seed."
        )


def _take_over(
    places: Places,
    config: DatasetConfig,
    model: KnownModel,
    former: Period | None,
    valid_from: datetime,
    decision: str,
    reason: str,
    by: str,
) -> ChampionChange:
    """One model's place is another's, from an hour on, with the row that says so."""
    store, since = places.store, {"valid_from": valid_from}
    end_periods(store, places.scope, valid_from)
    open_period(store, places.scope, model.model_id, reason=reason, **since)
    beaten = _model_of(store, config, model_id=former.model_id) if former else None
    former_id = beaten.model_id if beaten else None
    places.decide(model.model_id, decision, reason, by, former=former_id, **since)
    return ChampionChange(model.version, valid_from, beaten.version if beaten else None)
