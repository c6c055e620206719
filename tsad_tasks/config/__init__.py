"""One YAML file per dataset: what it may say, and a clear error where it says something else.

Importing this loads neither NumPy nor pandas, since every DAG import pays for it.
"""

from tsad_tasks.config.checks import holidays_of
from tsad_tasks.config.dataset import DatasetConfig
from tsad_tasks.config.datasets import (
    DEMO_CONNECTION,
    config_of,
    dataset_paths,
    datasets_folder,
    deprecations_of,
    is_absent_example,
    named_config,
)
from tsad_tasks.config.file import (
    deprecations,
    file_error,
    load_config,
    shown_path,
    source_text,
)
from tsad_tasks.config.schema import json_schema
from tsad_tasks.config.sections import (
    DEFAULT_WINDOW,
    AlarmPolicy,
    ChannelSection,
    GateSection,
    NotificationsSection,
    NotificationTarget,
    QuietHours,
    ThresholdSection,
)

__all__ = [
    "DEFAULT_WINDOW",
    "DEMO_CONNECTION",
    "AlarmPolicy",
    "ChannelSection",
    "DatasetConfig",
    "GateSection",
    "NotificationTarget",
    "NotificationsSection",
    "QuietHours",
    "ThresholdSection",
    "config_of",
    "dataset_paths",
    "datasets_folder",
    "deprecations",
    "deprecations_of",
    "file_error",
    "holidays_of",
    "is_absent_example",
    "json_schema",
    "load_config",
    "named_config",
    "shown_path",
    "source_text",
]
