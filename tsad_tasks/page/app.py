"""The page as a web application of its own, mounted by a plugin under Airflow's login.

Every address is a whole page or a file; nothing is written on GET. The plugin says who looks
(`Visitor`) and which login the warehouse is asked under: an operator's, never the pipeline's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.middleware.gzip import GZipMiddleware

from tsad_tasks.base.errors import BadInput, TsadError, Unavailable
from tsad_tasks.page import data, models, queries, reports, writes
from tsad_tasks.page.guard import Guard, Visitor
from tsad_tasks.page.incident import DrawnIncidents, IncidentContent, plots, read_incident
from tsad_tasks.page.lanes import drawn_lanes
from tsad_tasks.page.overview import DAYS, Failed, Filters, read_overview
from tsad_tasks.page.queries import PageDataset, ShownIncident
from tsad_tasks.page.render import MEDIA_TYPES, assets, html, to_top
from tsad_tasks.storage.database import DatabaseError, database_error, shown_statement
from tsad_tasks.storage.sessions import Sessions
from tsad_tasks.storage.store import Store
from tsad_tasks.text.formats import zone_of

STATEMENT_TIMEOUT_S, LOCK_TIMEOUT_S = 30, 10
VISIT_COOKIE, VISIT_KEPT_S = "tsad_visit", 90 * 86400
FOREVER = "private, max-age=31536000, immutable"
NOT_FOUND = "Expected an address of this page. Received: {}."


class Page:
    """What requests share: sessions of the warehouse, and the incidents that were drawn last."""

    def __init__(self, uri: Callable[[], str]) -> None:
        self._sessions = Sessions(
            uri, statement_timeout_s=STATEMENT_TIMEOUT_S, lock_timeout_s=LOCK_TIMEOUT_S
        )
        self._drawn = DrawnIncidents()

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The warehouse under the operator's login; no statement outlasts a person's patience."""
        with self._sessions.taken() as connection:
            yield Store(connection)

    def datasets(self, store: Store, visitor: Visitor) -> list[PageDataset]:
        """The datasets whose DAG the visitor may read."""
        with store.snapshot():
            every = store.rows(queries.SELECT_PAGE_DATASETS)
        return [one for one in every if visitor.may_read(one.name)]

    def dataset(self, store: Store, visitor: Visitor, name: str) -> PageDataset:
        """One of them; 404 for any other, whether there is one or not."""
        for one in self.datasets(store, visitor):
            if one.name == name:
                return one
        raise HTTPException(404, f"Expected a dataset that you may see. Received: {name}.")

    def incident(
        self, store: Store, visitor: Visitor, incident_id: str
    ) -> tuple[PageDataset, ShownIncident]:
        """An incident with all of its parts, by the id of any of them, and its dataset; 404 where
        there is none that the visitor may see.
        """
        with store.snapshot():
            row = store.first(queries.SELECT_SHOWN_INCIDENT, incident_id=incident_id)
        if row is None or not visitor.may_read(row.dataset):
            raise HTTPException(404, f"Expected an incident that stands. Received: {incident_id}.")
        return self.dataset(store, visitor, row.dataset), row

    def successor(self, store: Store, visitor: Visitor, incident_id: str) -> str | None:
        """What stands in the place of an incident that is gone; None: nothing that may be seen.

        Rows that came late may give an incident another first flag, and so another id, after a
        message linked to it.
        """
        with store.snapshot():
            found = store.first(queries.SELECT_SUCCESSOR, incident_id=incident_id)
        return found.incident_id if found and visitor.may_read(found.dataset) else None

    def content(
        self, store: Store, visitor: Visitor, incident_id: str, *, whole: bool = True
    ) -> IncidentContent:
        """Everything about one incident; not whole: what needs no answer of its model."""
        dataset, row = self.incident(store, visitor, incident_id)
        with store.snapshot():
            try:
                read = self._drawn.of if whole else self._drawn.so_far
                drawn = read(store, dataset, row)
            except LookupError as error:
                raise HTTPException(404, str(error)) from error
            return read_incident(store, dataset, row, drawn)

    def writable(self, store: Store, visitor: Visitor, incident_id: str) -> ShownIncident:
        """An incident of a dataset that the visitor may edit; 403 for others."""
        _, row = self.incident(store, visitor, incident_id)
        if not visitor.may_edit(row.dataset):
            raise HTTPException(403, f"Expected edit rights on the DAG {row.dataset}.score.")
        return row


def page_app(
    uri: Callable[[], str], visitor: Callable[..., Visitor], *, login: str | None = None
) -> FastAPI:
    """The application.

    Parameters
    ----------
    uri : gives the warehouse's URI under an operator's login, at each request.
    visitor : a FastAPI dependency that says who looks, or raises 401.
    login : where to log in, from the page's own root; it takes the way back as `next`. None: the
        page does not say.
    """
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # The guard of every address, files and unknown ones included.
        dependencies=[Depends(visitor)],
    )
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    app.add_middleware(Guard)
    page, looks = Page(uri), Depends(visitor)
    _say_errors(app, login)
    _add_overview(app, page, looks)
    _add_incident(app, page, looks)
    _add_models_and_data(app, page, looks)
    _add_reports(app, page, looks)
    _add_writes(app, page, looks)

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        found = assets().get(name)
        if found is None:
            raise HTTPException(404, NOT_FOUND.format(name))
        media_type = MEDIA_TYPES["." + name.rpartition(".")[2]]
        return Response(found[0], media_type=media_type, headers={"cache-control": FOREVER})

    @app.get("/{path:path}")
    def unknown(path: str) -> Response:
        raise HTTPException(404, NOT_FOUND.format(path))

    return app


def _add_overview(app: FastAPI, page: Page, looks: Any) -> None:
    @app.get("/")
    def overview(request: Request, visitor: Visitor = looks) -> Response:
        filters = Filters.of(request.query_params)
        with page.store() as store:
            datasets = page.datasets(store, visitor)
            shown = read_overview(store, datasets, filters, request.cookies.get(VISIT_COOKIE))
        lanes = None
        if shown.chosen and not isinstance(shown.lanes, Failed):
            lanes = drawn_lanes(shown.lanes, shown.from_at, shown.to_at, shown.chosen.site_zone)
        zones = {one.name: one.site_zone for one in datasets}
        answer = html(
            request,
            "overview.html",
            shown=shown,
            lanes=lanes,
            zones=zones,
            DAYS=DAYS,
            dataset=shown.chosen,
        )
        answer.set_cookie(
            VISIT_COOKIE,
            shown.visit.cookie,
            max_age=VISIT_KEPT_S,
            path=request.scope.get("root_path") or "/",
            httponly=True,
            samesite="strict",
        )
        return answer


def _add_incident(app: FastAPI, page: Page, looks: Any) -> None:
    @app.get("/incidents/{incident_id}")
    def incident(request: Request, incident_id: str, visitor: Visitor = looks) -> Response:
        whole = "whole" in request.query_params

        def leads_to(other_id: str) -> Response:
            return RedirectResponse(f"{quote(other_id, safe='')}{'?whole' * whole}", 302)

        with page.store() as store:
            try:
                content = page.content(store, visitor, incident_id, whole=whole)
            except HTTPException:
                successor = page.successor(store, visitor, incident_id)
                if successor is None:
                    raise
                return leads_to(successor)
            if content.row.incident_id != incident_id:
                return leads_to(content.row.incident_id)
            now = store.now()
        # An id of the warehouse, where it stands as it was asked for.
        sql = shown_statement("incident_readings").replace("$incident", content.row.incident_id)
        return html(
            request,
            "incident.html",
            content=content,
            row=content.row,
            dataset=content.dataset,
            may_edit=visitor.may_edit(content.row.dataset),
            visitor=visitor,
            now=now,
            zone=content.dataset.site_zone,
            local=lambda at: at.astimezone(zone_of(content.dataset.site_zone)),
            sql=sql,
        )

    @app.get("/incidents/{incident_id}/{part}.json")
    def incident_plots(incident_id: str, part: str, visitor: Visitor = looks) -> JSONResponse:
        if part not in ("first", "rest"):
            raise HTTPException(404, NOT_FOUND.format(part))
        with page.store() as store:
            content = page.content(store, visitor, incident_id)
        return JSONResponse(plots(content, rest=part == "rest"))


def _add_models_and_data(app: FastAPI, page: Page, looks: Any) -> None:
    @app.get("/models/{dataset}")
    def shown_models(request: Request, dataset: str, visitor: Visitor = looks) -> Response:
        with page.store() as store:
            chosen = page.dataset(store, visitor, dataset)
            content = models.read_models(store, chosen.name)
        shown: dict[str, Any] = {"content": content, "may_edit": visitor.may_edit(chosen.name)}
        shown["seen_text"] = models.seen_text
        return html(request, "models.html", dataset=chosen, zone=chosen.site_zone, **shown)

    @app.get("/data/{dataset}")
    def shown_data(request: Request, dataset: str, visitor: Visitor = looks) -> Response:
        with page.store() as store:
            chosen = page.dataset(store, visitor, dataset)
            content = data.read_data(store, chosen.name)
        return html(request, "data.html", dataset=chosen, zone=chosen.site_zone, content=content)


def _add_reports(app: FastAPI, page: Page, looks: Any) -> None:
    @app.get("/reports/{dataset}")
    def shown_reports(request: Request, dataset: str, visitor: Visitor = looks) -> Response:
        with page.store() as store:
            chosen = page.dataset(store, visitor, dataset)
        files = reports.report_files(chosen.name)
        shown: dict[str, Any] = {"files": files, "may_edit": visitor.may_edit(chosen.name)}
        return html(request, "reports.html", dataset=chosen, zone=chosen.site_zone, **shown)

    @app.get("/reports/{dataset}/{name}")
    def report_file(dataset: str, name: str, visitor: Visitor = looks) -> Response:
        with page.store() as store:
            chosen = page.dataset(store, visitor, dataset)
        found = reports.report_answer(chosen.name, name)
        if found is None:
            raise HTTPException(404, NOT_FOUND.format(name))
        content, media_type = found
        # The frame's sandbox opens no PDF: it is downloaded, as tables are.
        kept = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(
            content, media_type=media_type, headers={} if name.endswith(".png") else kept
        )


def _add_writes(app: FastAPI, page: Page, looks: Any) -> None:
    @app.post("/incidents/{incident_id}/verdict")
    def verdict(
        incident_id: str, said: writes.SaidVerdict, visitor: Visitor = looks
    ) -> dict[str, int]:
        with page.store() as store:
            row = page.writable(store, visitor, incident_id)
            return {"number": writes.say_verdict(store, row, said, by=visitor.name)}

    @app.post("/incidents/{incident_id}/triage")
    def triage(
        incident_id: str, said: writes.SaidTriage, visitor: Visitor = looks
    ) -> dict[str, int]:
        with page.store() as store:
            row = page.writable(store, visitor, incident_id)
            return {"number": writes.say_triage(store, row, said, by=visitor.name)}

    @app.post("/incidents/{incident_id}/maintenance")
    def maintenance(
        incident_id: str, said: writes.SaidMaintenance, visitor: Visitor = looks
    ) -> dict[str, int]:
        with page.store() as store:
            row = page.writable(store, visitor, incident_id)
            zone = page.dataset(store, visitor, row.dataset).site_zone
            return {"number": writes.say_maintenance(store, row, said, zone, by=visitor.name)}

    @app.post("/incidents/{incident_id}/label")
    def label(incident_id: str, said: writes.SaidLabel, visitor: Visitor = looks) -> dict[str, int]:
        with page.store() as store:
            row = page.writable(store, visitor, incident_id)
            zone = page.dataset(store, visitor, row.dataset).site_zone
            return {"number": writes.say_label(store, row, said, zone, by=visitor.name)}


def way_back(request: Request) -> str:
    """The address that was asked for, as one of this site: no host, and nothing that names one.

    Browsers take `//host` and `/\\host` for another site.
    """
    path = "/" + quote(request.url.path).lstrip("/")
    return f"{path}?{request.url.query}" if request.url.query else path


def _say_errors(app: FastAPI, login: str | None) -> None:
    """Errors are a page for people and JSON for scripts; both say what was expected."""

    def answer(request: Request, status: int, text: str) -> Response:
        if request.method == "GET" and not request.url.path.endswith(".json"):
            way = None
            if status == 401 and login:
                way = f"{to_top(request)}{login}?{urlencode({'next': way_back(request)})}"
            shown = {"status": status, "text": text, "login": way, "dataset": None}
            return html(request, "error.html", status, **shown)
        return JSONResponse({"error": text}, status)

    @app.exception_handler(AnyHTTPException)
    def refused(request: Request, error: AnyHTTPException) -> Response:
        return answer(request, error.status_code, str(error.detail))

    @app.exception_handler(TsadError)
    def failed(request: Request, error: TsadError) -> Response:
        status = 503 if isinstance(error, Unavailable) else 500
        return answer(request, 400 if isinstance(error, BadInput) else status, str(error))

    @app.exception_handler(DatabaseError)
    def unanswered(request: Request, error: Exception) -> Response:
        return answer(request, 503, str(database_error(error, role="operator")))
