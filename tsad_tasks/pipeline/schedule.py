"""When a dataset is trained: at the moments of `training.schedule`, and daily while it is young.

Airflow imports this whenever it looks at the DAGs, so nothing slow is imported here at the top.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from tsad_tasks.base.errors import NothingToDo, TsadError
from tsad_tasks.config import DatasetConfig

if TYPE_CHECKING:
    from tsad_tasks.training.retrain import Retraining

# Minutes and hours of the names that cron has.
_NAMED = {"@hourly": "0 *"}
_MIDNIGHT = "0 0"


def daily_schedule(config: DatasetConfig) -> str:
    """The cron expression of the DAG `<dataset>.retrain`, in UTC: the hours of `training.schedule`
    on every day.

    Where nothing can be young it is `training.schedule` itself.
    """
    training = config.training
    if training.range_s <= training.young_from_s:
        return training.schedule
    text = training.schedule
    minute, hour = (_NAMED.get(text, _MIDNIGHT) if text.startswith("@") else text).split()[:2]
    return f"{minute} {hour} * * *"


def is_moment(schedule: str, at: datetime) -> bool:
    """Whether a cron expression names a moment.

    >>> is_moment("0 3 * * 1", datetime(2026, 3, 2, 3)), is_moment("@weekly", datetime(2026, 3, 2))
    (True, False)
    """
    # Imported here, as by whoever reads the file.
    from croniter import croniter

    return bool(croniter.match(schedule, at))


def is_first_of_day(schedule: str, at: datetime) -> bool:
    """Whether a cron expression names no earlier moment of the day.

    >>> at = datetime(2026, 3, 2, 15)
    >>> is_first_of_day("0 15 * * *", at), is_first_of_day("0 3,15 * * *", at)
    (True, False)
    """
    from croniter import croniter

    before: datetime = croniter(schedule, at).get_prev(datetime)
    return before.date() < at.date()


def check_due(run: Retraining) -> None:
    """Looks whether a run that is for what is young has anything to train, before anything is read.

    Raises
    ------
    NothingToDo
        When it has not.
    """
    from tsad_tasks.training.reader import training_scopes
    from tsad_tasks.training.youth import ages_s, not_young

    if not run.only_young:
        return
    store, config = run.store, run.config
    if not is_first_of_day(daily_schedule(config), run.end_at):
        raise NothingToDo(f"What is young of {config.dataset} is trained once a day.")
    with store.transaction():
        try:
            scopes = training_scopes(store, config)
        except TsadError:
            # Nothing was ever ingested: that comes first.
            return
        ages = ages_s(store, config, scopes, run.end_at)
        # What is not read yet may be older than what is, so unknown ages are looked at afterwards.
        is_due = [
            run.is_due(scope, age) or (age is None and run.champion(scope) is None)
            for scope in scopes
            for age in [ages[scope.entity_id]]
        ]
    if not any(is_due):
        raise not_young(config)
