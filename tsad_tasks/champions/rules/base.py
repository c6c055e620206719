"""What the shadow's rules are made of: their evidence, and how little of it is nothing.

A file of rules imports this and nothing slow at its top, where Airflow would wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tsad_tasks.base.enums import Stage
from tsad_tasks.base.rule import Better as Better
from tsad_tasks.base.rule import Measured as Measured
from tsad_tasks.base.rule import Rule

if TYPE_CHECKING:
    from datetime import datetime

    from tsad_tasks.config import DatasetConfig
    from tsad_tasks.training.injected import DetectionResult


@dataclass(frozen=True)
class ShadowComparison:
    """What challenger and champion made of the same hours.

    Attributes
    ----------
    n_hours, n_steps : that both have scored; of the steps, on how many they agree, and what each
        flags
    n_incidents : of the challenger and of the champion, without those in maintenance windows
    n_labels, n_labels_found : labels in these hours, and those that challenger and champion flag
    n_confirmed, n_confirmed_found : the same of incidents that people confirmed, as far as no label
        is there
    n_false : incidents of challenger and champion that overlap in time what people called
        false_alarm or expected
    last_hour_at : the last of the hours
    """

    n_hours: int
    n_steps: int
    n_agreed: int
    n_flags: tuple[int, int]
    n_incidents: tuple[int, int]
    n_labels: int
    n_labels_found: tuple[int, int]
    n_confirmed: int = 0
    n_confirmed_found: tuple[int, int] = (0, 0)
    n_false: tuple[int, int] = (0, 0)
    last_hour_at: datetime | None = None


@dataclass(frozen=True)
class Trial:
    """What challenger and champion made of the shadow's hours with anomalies in them.

    Attributes
    ----------
    champion : None where it sees other channels or steps than the challenger.
    latency_ms : CPU time of challenger and champion, per window, median; measured here, on these
        readings.
    """

    challenger: DetectionResult
    champion: DetectionResult | None
    latency_ms: tuple[float, float | None]


@dataclass(frozen=True)
class ShadowEvidence:
    """What the shadow's rules look at; `trial` is None where there is none."""

    config: DatasetConfig
    compared: ShadowComparison
    trial: Trial | None = None


@dataclass(frozen=True, kw_only=True)
class ShadowRule(Rule[ShadowEvidence]):
    """A rule of the shadow.

    Attributes
    ----------
    is_wait : whether it only says that the shadow has lasted long enough; the others decide then.
    needs_trial : whether it looks at the trial, which costs seconds.
    """

    stage: Stage = Stage.SHADOW
    is_wait: bool = False
    needs_trial: bool = False
