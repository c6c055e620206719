"""The page in Airflow's navigation and on the datasets' DAGs, under Airflow's own login.

Airflow imports this file in all of its processes; only the api-server asks for the page, which is
made at its first request.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from tsad_tasks.base.errors import BadInput

PREFIX = "/tsad"
# Airflow's own address that leads to the login of any auth manager, from the page's.
LOGIN = "../api/v2/auth/login"
PAGE_CONNECTION = "tsad_page"
PAGE_URI = "TSAD_PAGE_URI"

App = Callable[[MutableMapping[str, Any], Callable[..., Any], Callable[..., Any]], Awaitable[None]]


def page_uri() -> str:
    """`TSAD_PAGE_URI`, else the Airflow connection `tsad_page`: an operator's login.

    Raises `BadInput` when there is neither; the pipeline's login is never taken.
    """
    from tsad_bridge import airflow_connection

    if uri := os.environ.get(PAGE_URI):
        return uri
    try:
        return str(airflow_connection(PAGE_CONNECTION).get_uri())
    except BadInput as error:
        raise BadInput(
            f"Expected a login of the role tsad_operator for the page, in {PAGE_URI} or the "
            f"Airflow connection {PAGE_CONNECTION}. Received: neither. See docs/guides/page.md."
        ) from error


class LazyPage:
    """The application, made at the first request: other processes never pay for it."""

    @cached_property
    def app(self) -> App:
        """The page, for whoever Airflow says is logged in."""
        from airflow.api_fastapi.core_api.security import get_user
        from fastapi import Depends

        from tsad_tasks.page.app import page_app
        from tsad_tasks.page.guard import Visitor

        def visitor(user: Any = Depends(get_user)) -> Visitor:  # noqa: B008
            def may(method: Any) -> Callable[[str], bool]:
                return lambda dataset: may_access(user, method, f"{dataset}.score")

            return Visitor(user.get_name(), may_read=may("GET"), may_edit=may("PUT"))

        made: App = page_app(page_uri, visitor, login=LOGIN)
        return made

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def may_access(user: Any, method: Any, dag_id: str) -> bool:
    """Whether Airflow lets a user read (GET) or edit (PUT) a DAG."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
    from airflow.models.dag import DagModel

    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return bool(get_auth_manager().is_authorized_dag(method=method, details=details, user=user))


class TsadPage(AirflowPlugin):  # type: ignore[misc]
    """What Airflow mounts, and where it shows it."""

    name = "tsad_page"
    fastapi_apps = [{"app": LazyPage(), "url_prefix": PREFIX, "name": "tsad"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Anomalies",
            "href": f"{PREFIX}/",
            "destination": "nav",
            "url_route": "anomalies",
            "nav_top_level": True,
        },
        {
            "name": "Anomalies",
            "href": f"{PREFIX}/?dag_id={{DAG_ID}}",
            "destination": "dag",
            "url_route": "anomalies_of_dag",
        },
    ]
