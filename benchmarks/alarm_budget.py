"""A fleet switched on with the defaults: incidents against the budget, and what is found:
`alarm_budget.py [--small] [--detector NAME]`.

300 simulated machines of 17 channels, one reading every five minutes (at one a minute the same
takes five times as long), in shifts, with Mondays, breaks, jobs, holidays and noise that is now and
then four times as strong. A model is trained on 30 days and scores the two weeks after them,
through the functions that the DAGs call, with the defaults of production, detector included, unless
`--detector NAME` names another: surprise by channel, top-k, extreme-value threshold, at most 5
incidents a day. Then again with a fault of a stated size in each machine, with one of the 17
sensors dead from the first scored hour on, and with readings 100 times too high among those that
are learned from.

Incidents are counted one by one. Beside them stands how many headlines people read: those of three
machines or more that begin within 15 minutes are a group, told once (decision 63).

A spread is the robust standard deviation of a channel of a machine while it works, breaks included.
A fault is found when an incident touches it that is not there without the fault. Fails where there
are more than twice as many incidents as the budget allows, where a dead sensor leaves hours
unscored or costs more than a tenth of the recall of the others, or where the spikes do. `--small`:
20 machines, ten days and one week.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from simulators.simulate_fleet import FLEET_CHANNELS, machine_fleet, with_faults

from devstack.simulate import SimulatedAnomaly, SimulatedPlant
from tsad_tasks.base.interval import unix_s
from tsad_tasks.config import DatasetConfig, holidays_of
from tsad_tasks.detectors.base import Detector
from tsad_tasks.detectors.folding.fold import at_ends
from tsad_tasks.detectors.folding.series_fold import FoldDetector
from tsad_tasks.detectors.registry import detector_class
from tsad_tasks.model.incident_groups import Beginning, incident_groups
from tsad_tasks.model.incidents import incident_spans
from tsad_tasks.model.scoring import (
    combined_errors,
    entity_features,
    entity_scores,
    entity_windows,
    hour_status,
)
from tsad_tasks.model.spec import ModelSpec
from tsad_tasks.model.windows import batches
from tsad_tasks.scoring.fold import Folded, fold_entities
from tsad_tasks.training.fit import fit_detector, fit_folding, move_to_anchor
from tsad_tasks.training.held_out import held_out_errors
from tsad_tasks.training.judge import alarm_budget, calibrate_model, held_out_readings
from tsad_tasks.training.kept import prepare_training
from tsad_tasks.training.reader import (
    FoldGroup,
    Scope,
    TrainingReader,
    training_range,
)
from tsad_tasks.training.survey import scales_of, surveyed

Floats = NDArray[np.float64]
Span = tuple[int, int]
# The default schedule retrains on Mondays; the scored fortnight holds a holiday, the first of May.
SCORED_AT, SMALL_SCORED_AT = datetime(2026, 4, 20, tzinfo=UTC), datetime(2026, 4, 24, tzinfo=UTC)
STEP_S = 300
HOUR_STEPS = 3600 // STEP_S
DEAD = FLEET_CHANNELS.index("coolant_temperature")
MOST_OVER_BUDGET, LEAST_KEPT = 2.0, 0.9
N_SPIKES = 4
# Of so many machines at most are readings in memory twice.
MACHINES_TOGETHER = 50


@dataclass(frozen=True)
class Sizes:
    """From when on which fleet is scored, how long before it is learned from, and how much of
    that.
    """

    scored_at: datetime
    machines: int
    train_days: int
    score_days: int
    max_windows: int
    epochs: int
    fault_sizes: tuple[float, ...]

    @property
    def start_at(self) -> datetime:
        return self.scored_at - timedelta(days=self.train_days)

    @property
    def split(self) -> int:
        """The first scored step."""
        return self.train_days * 24 * HOUR_STEPS


WHOLE = Sizes(SCORED_AT, 300, 30, 14, 60_000, 12, (2.0, 3.0, 4.0, 6.0))
SMALL = Sizes(SMALL_SCORED_AT, 20, 10, 7, 3_000, 5, (6.0,))


def config_of(sizes: Sizes, detector: str | None) -> DatasetConfig:
    """The defaults; what is said is the source, when a machine works, its country, and how long is
    learned.
    """
    source: dict[str, Any] = {
        "connection": "fleet",
        "tables": "fleet",
        "time": {"column": "at"},
        "step": STEP_S,
    }
    source |= {"entity": {"column": "machine"}, "channels": {name: {} for name in FLEET_CHANNELS}}
    learning = {
        "range": f"{sizes.train_days}d",
        "max_windows": sizes.max_windows,
        "epochs": sizes.epochs,
    }
    running = {"running_when": "spindle_speed > 100", "startup_grace": "30min"}
    fields = {
        "dataset": "fleet",
        "source": source,
        "features": {"holidays": "DE"},
        "training": learning,
        **running,
    }
    named = {"detector": {"name": detector}} if detector else {}
    return DatasetConfig.model_validate(fields | named)


@dataclass(frozen=True)
class Model:
    """A calibrated model of the fleet."""

    config: DatasetConfig
    spec: ModelSpec
    detector: Detector
    start_s: int

    def incidents(self, names: Sequence[str], values: Floats, first_step: int) -> list[list[Span]]:
        """First and last flagged step of each incident of machines, counted from the fleet's first
        step; readings (n_machines, n_steps, n_channels) are scored as scoring does it.
        """
        start_s = self.start_s + first_step * STEP_S
        features = [
            entity_features(self.spec.features, [self.spec.scaler(name)], values[[i]], start_s)
            for i, name in enumerate(names)
        ]
        folded = None
        if self.detector.folds:
            folding = cast(FoldDetector, self.detector)
            folded = fold_entities(self.spec.features, folding, names, features, start_s).made
        found = []
        for i, (name, its) in enumerate(zip(names, features, strict=True)):
            windows = entity_windows(self.spec.features, its, np.ones((1, values.shape[1]), bool))
            own = np.zeros(len(windows.ends), np.int64)
            made = (
                self.detector.reconstruct(its.inputs[0], windows.ends)
                if folded is None
                else at_ends(folded, i * values.shape[1] + windows.ends)
            )
            errors = np.full(values.shape[1], np.nan, np.float32)
            errors[windows.ends], _ = combined_errors(
                self.spec, [name], own, made.channel_errors, windows.live
            )
            found.append(self._spans(name, errors, first_step))
        return found

    def _spans(self, name: str, errors: NDArray[np.float32], first_step: int) -> list[Span]:
        scores, rule = entity_scores(self.spec, [name], errors[None]), alarm_budget(self.config, 1)
        steps = np.flatnonzero(scores.flags[0])
        spans = incident_spans(steps * STEP_S, scores.scores[0, steps], rule.rule, STEP_S)
        return [
            (int(steps[span.first]) + first_step, int(steps[span.last]) + first_step)
            for span in spans
        ]

    @property
    def reach(self) -> int:
        """Steps before the first scored one that it depends on; what folds has a state there."""
        if self.detector.folds:
            return 0
        return self.spec.features.reach_steps + self.spec.threshold.history_steps


def fitted(
    sizes: Sizes, config: DatasetConfig, values: Floats, names: Sequence[str], seed: int
) -> Model:
    """A model of readings (n_machines, n_steps, n_channels), retrained as the DAG does it."""
    scope, start_s = (
        Scope(0, "all", tuple((name, number) for number, name in enumerate(names))),
        unix_s(sizes.start_at),
    )

    def read(machines: Sequence[int], start_at: datetime, end_at: datetime) -> Floats:
        first, end = ((unix_s(at) - start_s) // STEP_S for at in (start_at, end_at))
        return values[list(machines), first:end]

    span = training_range(config, sizes.scored_at)
    reader = TrainingReader(read, config, span, [])
    scales, group = (
        scales_of(config, span, surveyed(reader, scope)),
        FoldGroup(scope.entities, span),
    )
    detector: Detector
    if detector_class(config.detector.name).folds:
        detector, _, _ = fit_folding(reader, [group], scales, seed=seed)
    else:
        detector, _ = fit_detector(config, prepare_training(reader, scope, scales), seed=seed)
    held_out, folds = held_out_readings(reader, group), list[Folded]()
    known = held_out_errors(reader.spec, scales.of, detector, held_out, folds)
    spec = calibrate_model(config, scales, detector, held_out, known=known)
    if detector.folds:
        spec = move_to_anchor(cast(FoldDetector, detector), reader, [group], scales, spec, folds)
    return Model(config, spec, detector, start_s)


def clean_incidents(
    model: Model, fleet: SimulatedPlant, sizes: Sizes, dead: int | None = None
) -> list[list[Span]]:
    """Incidents of each machine in the scored weeks; from a sensor that is dead nothing is read."""
    found = list[list[Span]]()
    first_step = sizes.split - model.reach
    for part in batches(len(fleet.entities), MACHINES_TOGETHER):
        values = fleet.values[part, first_step:].copy()
        if dead is not None:
            values[..., dead] = np.nan
        found += [
            [span for span in incidents if span[1] >= sizes.split]
            for incidents in model.incidents(fleet.entities[part], values, first_step)
        ]
    return found


def n_headlines(incidents: list[list[Span]]) -> int:
    """How many headlines tell of incidents of each machine: a group's once."""
    began = [
        Beginning(span[0] * STEP_S, str(machine), f"{machine} {span[0]}")
        for machine, spans in enumerate(incidents)
        for span in spans
    ]
    return len(began) - sum(len(group) - 1 for group in incident_groups(began))


@dataclass(frozen=True)
class Found:
    """Which faults were found, by kind and channel."""

    kinds: NDArray[np.str_]
    channels: NDArray[np.int64]
    is_found: NDArray[np.bool_]

    def recall(self, chosen: NDArray[np.bool_] | None = None) -> float:
        return float(self.is_found[slice(None) if chosen is None else chosen].mean())


def faults_found(
    model: Model,
    faulty: SimulatedPlant,
    clean: list[list[Span]],
    sizes: Sizes,
    dead: int | None = None,
) -> Found:
    """Faults that an incident touches which is not there without them."""
    with_them = (
        clean_incidents(model, faulty, sizes, dead)
        if model.detector.folds
        else _around_faults(model, faulty, dead)
    )
    is_found = []
    for fault in faulty.anomalies:
        machine, first, end = _place(model, faulty, fault)
        before, after = clean[machine], with_them[machine]
        touches = (
            any(span[0] < end and span[1] >= first for span in spans) for spans in (before, after)
        )
        was, there = touches
        is_found.append(there and not was)
    channels = [FLEET_CHANNELS.index(one.channels[0]) for one in faulty.anomalies]
    return Found(
        np.array([one.kind for one in faulty.anomalies]), np.array(channels), np.array(is_found)
    )


def _around_faults(model: Model, faulty: SimulatedPlant, dead: int | None) -> dict[int, list[Span]]:
    """Incidents of each machine with a fault around it: windows know nothing of what is before."""
    found = {}
    for fault in faulty.anomalies:
        machine, first, end = _place(model, faulty, fault)
        from_step = first - model.reach
        values = faulty.values[[machine], from_step : end + 1].copy()
        if dead is not None:
            values[..., dead] = np.nan
        (found[machine],) = model.incidents([fault.entity], values, from_step)
    return found


def _place(model: Model, faulty: SimulatedPlant, fault: SimulatedAnomaly) -> tuple[int, int, int]:
    """The machine of a fault, and between which steps it is found."""
    first, end = ((unix_s(at) - model.start_s) // STEP_S for at in (fault.start_at, fault.end_at))
    return faulty.entities.index(fault.entity), first, end + model.spec.features.width - 1


def with_spikes(values: Floats, sizes: Sizes, seed: int) -> Floats:
    """Some readings of every machine, all channels 100 times too high, spread over what is learned
    from.
    """
    spiked, rng = values.copy(), np.random.default_rng(seed)
    for machine in range(len(values)):
        spiked[machine, rng.integers(0, sizes.split, N_SPIKES)] *= 100.0
    return spiked


def statuses(
    model: Model, fleet: SimulatedPlant, sizes: Sizes, dead: int | None = None
) -> NDArray[np.str_]:
    """Status of every hour of some machines."""
    found = []
    for machine, name in enumerate(fleet.entities[:20]):
        values = fleet.values[machine, sizes.split - 10 * HOUR_STEPS :].copy()
        if dead is not None:
            values[:, dead] = np.nan
        features = entity_features(model.spec.features, [model.spec.scaler(name)], values[None], 0)
        windows = entity_windows(model.spec.features, features, np.ones((1, len(values)), bool))
        by_hour = (
            part.reshape(-1, HOUR_STEPS)[10:]
            for part in (windows.reasons[0], np.isfinite(values).any(axis=1))
        )
        status, _, _ = hour_status(*by_hour, provisional=False, silent=False, retired=False)
        found.append(status)
    return np.array(found)


class Table:
    """Lines of what was measured, and whether all promises hold."""

    def __init__(self) -> None:
        self.holds = True

    def line(self, what: str, value: str, promise: str = "", holds: bool = True) -> None:
        """One line; a promise that does not hold fails the benchmark."""
        self.holds &= holds
        print(f"{what:58s} {value:>24s}   {promise}{'' if holds else '   BROKEN'}", flush=True)

    def rate(self, what: str, incidents: list[list[Span]], sizes: Sizes, budget: float) -> None:
        """Incidents a day, and on the worst day."""
        n = sum(map(len, incidents))
        rate, allowed = n / sizes.score_days, MOST_OVER_BUDGET * budget
        days = [
            sum(
                (span[0] - sizes.split) // (24 * HOUR_STEPS) == day
                for part in incidents
                for span in part
            )
            for day in range(sizes.score_days)
        ]
        self.line(what, f"{rate:.2f} a day", f"at most {allowed:.2f}", rate <= allowed)
        told = n_headlines(incidents) / sizes.score_days
        self.line("    told as headlines, a group once", f"{told:.2f} a day")
        self.line("    by day", " ".join(map(str, days)))


def main() -> int:
    """Trains, scores, prints."""
    arguments = _arguments()
    sizes, began = SMALL if arguments.small else WHOLE, time.perf_counter()
    days = sizes.train_days + sizes.score_days
    fleet = machine_fleet(
        days=days,
        machines=sizes.machines,
        start_at=sizes.start_at,
        seed=arguments.seed,
        step_s=STEP_S,
        holidays=holidays_of("DE")[0],
    )
    table, config = Table(), config_of(sizes, arguments.detector)
    print(
        f"{sizes.machines} machines × 17 channels, a reading every {STEP_S // 60} min, "
        f"{sizes.train_days} days before "
        f"and {sizes.score_days} from {sizes.scored_at:%A, %d %B %Y} on; {config.detector.name}, "
        f"seed {arguments.seed}"
    )
    _measure(table, fleet, sizes, arguments, config)
    print(
        f"{(time.perf_counter() - began) / 60:.1f} min; "
        f"{'all promises hold' if table.holds else 'BROKEN'}"
    )
    return 0 if table.holds else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="20 machines, ten days and one week")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--detector", metavar="NAME")
    return parser.parse_args()


def _measure(
    table: Table,
    fleet: SimulatedPlant,
    sizes: Sizes,
    arguments: argparse.Namespace,
    config: DatasetConfig,
) -> None:
    model = fitted(sizes, config, fleet.values, fleet.entities, arguments.seed)
    budget = alarm_budget(config, sizes.machines)
    allowed = min(budget.per_day, budget.per_entity_day * sizes.machines)
    table.line(
        "budget", f"{allowed:.2f} a day", f"expected {model.spec.expected_incidents_per_day:.2f}"
    )
    limits = [model.spec.calibration(name).limit for name in fleet.entities]
    said = f"{min(limits):.1f}, {np.median(limits):.1f}, {max(limits):.1f}"
    table.line("limits of machines: lowest, median, highest", said)
    clean = clean_incidents(model, fleet, sizes)
    table.rate("incidents of the clean fleet", clean, sizes, allowed)
    spreads = np.array([model.spec.scaler(name).step_of for name in fleet.entities])
    for size in sizes.fault_sizes:
        faulty = with_faults(
            fleet, size=size, from_step=sizes.split, spreads=spreads, seed=arguments.seed
        )
        found = faults_found(model, faulty, clean, sizes)
        table.line(f"faults of {size:g} spreads found (spike, shift, ramp)", _shares(found))
    _measure_dead(table, model, fleet, faulty, found, sizes, allowed)
    _measure_spiked(table, fleet, faulty, found, sizes, arguments, config, allowed)


def _shares(found: Found) -> str:
    kinds = " ".join(
        f"{found.recall(found.kinds == kind):.2f}" for kind in ("point", "shift", "ramp")
    )
    return f"{found.recall():.2f} ({kinds})"


def _measure_dead(
    table: Table,
    model: Model,
    fleet: SimulatedPlant,
    faulty: SimulatedPlant,
    before: Found,
    sizes: Sizes,
    allowed: float,
) -> None:
    name = FLEET_CHANNELS[DEAD]
    share = float((statuses(model, fleet, sizes) != statuses(model, fleet, sizes, DEAD)).mean())
    table.line(f"{name} dead: hours with another status", f"{share:.1%}", "0 %", share == 0.0)
    clean = clean_incidents(model, fleet, sizes, dead=DEAD)
    table.rate(f"{name} dead: incidents of the clean fleet", clean, sizes, allowed)
    after, others = faults_found(model, faulty, clean, sizes, dead=DEAD), before.channels != DEAD
    kept = after.recall(others) / before.recall(others)
    table.line(
        "    recall of faults in the others, of that before",
        f"{kept:.2f}",
        f"{LEAST_KEPT}",
        kept >= LEAST_KEPT,
    )


def _measure_spiked(
    table: Table,
    fleet: SimulatedPlant,
    faulty: SimulatedPlant,
    before: Found,
    sizes: Sizes,
    arguments: argparse.Namespace,
    config: DatasetConfig,
    allowed: float,
) -> None:
    values = with_spikes(fleet.values, sizes, arguments.seed)
    model = fitted(sizes, config, values, fleet.entities, arguments.seed)
    clean = clean_incidents(model, fleet, sizes)
    table.rate("×100 spikes learned: incidents of the clean fleet", clean, sizes, allowed)
    kept = faults_found(model, faulty, clean, sizes).recall() / before.recall()
    table.line("    recall, of that before", f"{kept:.2f}", f"{LEAST_KEPT}", kept >= LEAST_KEPT)


if __name__ == "__main__":
    sys.exit(main())
