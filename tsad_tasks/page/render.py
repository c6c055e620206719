"""HTML of the page: Jinja2 with autoescape, texts from the one formatter, relative addresses."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from tsad_tasks.base.interval import unix_s
from tsad_tasks.text import formats, words

_FOLDER = Path(__file__).parent
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript"}


@cache
def environment() -> Environment:
    """The templates, with the texts that mail, PDF and command line show too."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "time": formats.time_text,
        "clock": formats.clock_text,
        "date": formats.date_text,
        "span": formats.span_text,
        "stamp": formats.stamp_text,
        "duration": formats.duration_text,
        "share": formats.share_text,
        "count": formats.count_text,
        "figure": formats.figure_text,
        "times": formats.times_text,
        "ratio": formats.ratio_text,
        "score": formats.score_text,
        "site_time": formats.in_site_zone,
        "verdict": words.verdict_title,
        "status": words.status_title,
        "watching": words.WATCHING_TITLES.get,
        "unix": unix_s,
        "seconds": lambda span: span.total_seconds(),
        "minute": lambda at: f"{at:%Y-%m-%dT%H:%M}",
        "minute_after": lambda at: f"{at + timedelta(seconds=-at.second % 60):%Y-%m-%dT%H:%M}",
        "query": lambda params: urlencode(params),
        "part": lambda text: quote(str(text), safe=""),
        "counted": formats.counted,
    }
    made.globals |= {
        "VERDICTS": [
            (verdict.value, title, words.VERDICT_HINTS[verdict])
            for verdict, title in words.VERDICT_TITLES.items()
        ],
        "SHARE_HINT": words.SHARE_HINT,
        "zone_offset": lambda zone, at: formats.zone_text(zone, at, at),
        "asset": lambda name: f"static/{name}?{assets()[name][1][:8]}",
    }
    return made


def chart_folder() -> Path:
    """Where the chart library is: in the checkout, else beside this module."""
    checkout = Path(__file__).parents[2] / "third_party" / "uplot"
    return checkout if checkout.is_dir() else _FOLDER / "uplot"


@cache
def assets() -> dict[str, tuple[bytes, str]]:
    """Static files by name: the bytes and their sha256."""
    ours = (_FOLDER / "static").iterdir()
    theirs = [chart_folder() / name for name in ("uPlot.iife.min.js", "uPlot.min.css")]
    found = {path.name: path.read_bytes() for path in (*ours, *theirs)}
    return {name: (content, sha256(content).hexdigest()) for name, content in found.items()}


def to_top(request: Request) -> str:
    """The way from the address of a request to the page's own root, such as `../`.

    Addresses are relative, since nobody knows under which path a proxy shows Airflow.
    """
    path = str(request.scope["path"]).removeprefix(request.scope.get("root_path", ""))
    return "../" * (path.count("/") - 1)


def html(request: Request, template: str, status_code: int = 200, **shown: Any) -> HTMLResponse:
    """A whole page."""
    top = to_top(request)
    text = environment().get_template(template).render(top=top, **shown)
    return HTMLResponse(text, status_code)


def local_moment(text: str, zone: str) -> datetime:
    """A wall-clock time that a person chose in a form, in the zone of the site."""
    return datetime.fromisoformat(text).replace(tzinfo=formats.zone_of(zone))
