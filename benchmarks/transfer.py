"""What a model learned elsewhere is worth: `python benchmarks/transfer.py [--small]`.

A detector is trained on many readings of a server room (`warm_start`), and then on a little of
another place: another room of the same kind, and a cold store with other channels, where only the
inner layers can be taken over. "Cold" is the same training from the seed's weights. "Epochs" is how
many the warm training needed for the loss that the cold one had in the end. Fails where the warm
training of the same kind does not need fewer epochs, in the median over the seeds.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import Any

import numpy as np

from devstack.simulate import SimulatedPlant, server_room
from devstack.simulate_plants import cold_store
from tsad_tasks.detectors.base import Budget, Detector, TrainingHistory, TrainingSet
from tsad_tasks.detectors.registry import build_detector

START = datetime(2025, 3, 3, tzinfo=UTC)
WIDTH = 10


def windows_of(plant: SimulatedPlant, n_windows: int) -> TrainingSet:
    """Windows of the first entity that has so many complete readings, and a quarter as many held
    out after them.
    """
    n_held = n_windows // 4
    n_steps = n_windows + n_held + 2 * WIDTH
    values = plant.values[0][np.isfinite(plant.values[0]).all(axis=1)][:n_steps]
    if len(values) < n_steps:
        raise SystemExit(f"Expected {n_steps} complete readings. Received: {len(values)}.")
    spread = np.maximum(values[:n_windows].std(axis=0), 1e-6)
    inputs = ((values - values[:n_windows].mean(axis=0)) / spread).clip(-10, 10).astype(np.float32)
    ends = np.arange(WIDTH - 1, n_windows), np.arange(n_windows + WIDTH, n_windows + WIDTH + n_held)
    return TrainingSet(inputs, *ends, inputs.shape[1], WIDTH)


def trained(
    name: str, training: TrainingSet, n_epochs: int, seed: int, start: Detector | None = None
) -> tuple[Detector, TrainingHistory]:
    n = training.n_channels
    detector: Any = build_detector(name, width=WIDTH, n_channels=n, n_inputs=n)
    budget = Budget(
        epochs=n_epochs, patience=n_epochs, batch_size=64, learning_rate=2e-3, schedule="constant"
    )
    return detector, detector.fit(training, budget=budget, seed=seed, warm_start=start)


def epochs_to(history: TrainingHistory, loss: float) -> int:
    """Epochs until a validation loss is reached; one more than there were where it never is."""
    reached = np.flatnonzero(np.array(history.validation_loss) <= loss)
    return int(reached[0]) + 1 if reached.size else len(history.validation_loss) + 1


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Epochs and losses of trainings that begin with another's weights."
    )
    parser.add_argument("--small", action="store_true", help="one seed and a small network, for CI")
    is_small = parser.parse_args().small
    name, seeds, n_source, n_target, n_epochs = (
        ("dense_autoencoder", (1,), 4_000, 600, 6)
        if is_small
        else ("lstm_autoencoder", (1, 2, 3), 20_000, 1_500, 12)
    )
    source = windows_of(
        server_room(days=n_source // 1000 + 1, hosts=1, start_at=START, seed=1), n_source
    )
    targets = {
        "another server room": windows_of(
            server_room(days=4, hosts=1, start_at=START, seed=2), n_target
        ),
        "a cold store": windows_of(cold_store(days=14, start_at=START, seed=3), n_target),
    }
    print(
        f"{name}, first on {n_source:,} windows of a server room, then {n_epochs} epochs on "
        f"{n_target:,} windows of"
    )
    print(
        f"{'':<22}{'seed':>5}{'cold: loss 1':>14}{'loss ' + str(n_epochs):>10}{'warm: loss 1':>14}"
        f"{'loss ' + str(n_epochs):>10}{'epochs':>8}"
    )
    needed: dict[str, list[int]] = {target: [] for target in targets}
    for seed in seeds:
        start, _ = trained(name, source, n_epochs, seed)
        for target, training in targets.items():
            cold, warm = (
                trained(name, training, n_epochs, seed, begin)[1] for begin in (None, start)
            )
            needed[target].append(epochs_to(warm, cold.validation_loss[-1]))
            losses = [
                loss
                for told in (cold, warm)
                for loss in (told.validation_loss[0], told.validation_loss[-1])
            ]
            print(
                f"{target:<22}{seed:>5}{losses[0]:>14.4f}{losses[1]:>10.4f}{losses[2]:>14.4f}{losses[3]:>10.4f}"
                f"{needed[target][-1]:>8}",
                flush=True,
            )
    return 0 if np.median(needed["another server room"]) < n_epochs else 1


if __name__ == "__main__":
    raise SystemExit(main())
