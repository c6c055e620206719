"""Results of experiments as JSON files, by experiment, seed and everything that decides them."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

from simulators import simulate_cats, simulate_documents

from devstack import simulate
from document_figures import figures
from document_figures.figures import Experiment, Say, Sizes
from tsad_tasks.config.presets import preset_text

MAKERS: dict[str, tuple[ModuleType, ...]] = {
    "a": (simulate_cats,),
    "d": (simulate, simulate_documents),
}
# Which sizes decide one document's results only, by the beginning of their names; the others decide
# all.
SIZES_OF = {"a": ("cats_",), "b": ("sine_",), "d": ("load_", "clean_", "room_"), "e": ("nab_",)}


@dataclass(frozen=True)
class Result:
    """What one experiment gave with one seed."""

    experiment: str
    seed: int
    config_hash: str
    minutes: float
    values: dict[str, float]


def config_hash(experiment: Experiment, sizes: Sizes, seed: int) -> str:
    """Hash of the sizes, the seed, the preset, and the code of the data makers and of the
    experiment.
    """
    letter = experiment.name[0]
    others = tuple(start for of, starts in SIZES_OF.items() if of != letter for start in starts)
    decisive = {name: value for name, value in asdict(sizes).items() if not name.startswith(others)}
    parts = [
        experiment.name,
        json.dumps(decisive, sort_keys=True),
        str(seed),
        preset_text(f"document_{letter}"),
    ]
    makers = MAKERS.get(letter, (simulate_documents,))
    parts += [
        _code(module)
        for module in (*makers, *_experiment_modules(inspect.getmodule(experiment.measure)))
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _experiment_modules(module: ModuleType | None) -> list[ModuleType]:
    """A module of experiments and those of this package that it takes from, but for what figures
    look like.
    """
    found = {module.__name__: module} if module is not None else {}
    waiting = list(found.values())
    while waiting:
        for value in vars(waiting.pop()).values():
            used = inspect.getmodule(value)
            name = used.__name__ if used is not None else ""
            if (
                used is None
                or name in found
                or name == figures.__name__
                or not name.startswith("document_figures.")
            ):
                continue
            found[name] = used
            waiting.append(used)
    return [found[name] for name in sorted(found)]


def _code(module: ModuleType) -> str:
    """What a module does: its syntax tree, which neither comments nor the layout change."""
    return ast.dump(ast.parse(inspect.getsource(module)))


def result_of(
    experiment: Experiment, sizes: Sizes, seed: int, folder: Path, *, fresh: bool, say: Say
) -> Result:
    """The kept result, or that of running the experiment now."""
    wanted = config_hash(experiment, sizes, seed)
    path = folder / f"{experiment.name}-{seed}-{wanted}.json"
    if path.is_file() and not fresh:
        kept = Result(**json.loads(path.read_text()))
        say(f"kept from before ({kept.minutes:.1f} min)")
        return kept
    began = time.perf_counter()
    values = experiment.measure(sizes, seed, say)
    minutes = (time.perf_counter() - began) / 60
    named = {f"{experiment.name}.{name}": float(value) for name, value in values.items()}
    result = Result(experiment.name, seed, wanted, minutes, named)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(result), indent=1, sort_keys=True))
    say(f"done in {minutes:.1f} min")
    return result


def kept_results(
    experiments: Iterable[Experiment], sizes: Sizes, seeds: Iterable[int], folder: Path
) -> list[Result]:
    """Results of other seeds and documents that are in the folder and still hold."""
    wanted = [
        folder / f"{experiment.name}-{seed}-{config_hash(experiment, sizes, seed)}.json"
        for seed in seeds
        for experiment in experiments
    ]
    return [Result(**json.loads(path.read_text())) for path in wanted if path.is_file()]
