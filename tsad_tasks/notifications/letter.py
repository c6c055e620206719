"""What a message says, as blocks in the order of reading: the same as plain text and as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

from tsad_tasks.base.enums import Severity

PICTURE_WIDTH = 560
# A channel puts its own name of the picture in this place, which no name in the text can hold.
PICTURE = 'src="cid:picture"'
_SEVERITIES: dict[str, str] = {
    Severity.HIGH: "▲ High",
    Severity.MEDIUM: "◆ Medium",
    Severity.LOW: "● Low",
}
# Light first; what is dark overrides it where the reader's screen is dark.
_STYLE = """
 .ground, .ground td.pad { background-color: #f4f6f8; }
 .card { background-color: #ffffff; border: 1px solid #d5dae1; border-radius: 10px; }
 .ink { color: #131a26; } .muted { color: #525e6f; } .link { color: #0b57a4; }
 .HIGH { color: #a82a06; } .MEDIUM { color: #8a5900; } .LOW { color: #525e6f; }
 .line { border-top: 1px solid #e6e9ed; }
 .button { background-color: #0b57a4; color: #ffffff; }
 .code { background-color: #f4f6f8; color: #131a26; }
 @media (prefers-color-scheme: dark) {
  .ground, .ground td.pad { background-color: #12161d !important; }
  .card { background-color: #1b212b !important; border-color: #333c49 !important; }
  .ink { color: #e8ebf0 !important; } .muted { color: #a9b3c1 !important; }
  .link { color: #8ab8ee !important; } .line { border-color: #333c49 !important; }
  .HIGH { color: #ff9a7a !important; } .MEDIUM { color: #f0c26a !important; }
  .LOW { color: #a9b3c1 !important; }
  .button { background-color: #8ab8ee !important; color: #10151c !important; }
  .code { background-color: #12161d !important; color: #e8ebf0 !important; }
 }
 @media (max-width: 480px) { .pad { padding: 8px !important; } .in { padding: 14px !important; } }
"""
_FONT = "font-family: 'Segoe UI', Roboto, Helvetica, Arial, sans-serif;"
_MONO = "font-family: ui-monospace, Consolas, Menlo, monospace; font-size: 13px;"


class Listed(NamedTuple):
    """One of many events: its line of text, and the same in parts."""

    line: str
    event: str
    severity: str
    when: str
    what: str
    link: str


@dataclass(frozen=True)
class Letter:
    """What a message says; names in it are visible text already.

    Attributes
    ----------
    kicker : in HTML above the sentence, behind the severity's mark.
    sections : titles, which may be empty, with lines as they stand.
    listed : events of a digest; `n_left`: how many more there are.
    """

    sentence: str
    paragraphs: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    sections: Sequence[tuple[str, Sequence[str]]] = ()
    listed: Sequence[Listed] = ()
    n_left: int = 0
    kicker: str = ""
    severity: str = ""
    link: str = ""
    sql: str = ""

    def as_text(self) -> str:
        """Plain text, which says all of it.

        >>> print(Letter("It fell.", facts={"Since": "9:00"}, sql="SELECT 1").as_text())
        It fell.
        <BLANKLINE>
        Since:     9:00
        <BLANKLINE>
        Look further:
          SELECT 1;
        <BLANKLINE>
        """
        blocks = [[self.sentence], *([text] for text in self.paragraphs)]
        blocks.append([f"{name + ':':<10} {text}" for name, text in self.facts.items()])
        left = [f"… and {self.n_left} more."] if self.n_left else []
        blocks.append([*(one.line for one in self.listed), *left])
        blocks += [[*filter(None, [title]), *lines] for title, lines in self.sections]
        blocks.append(["On the page:", f"  {self.link}"] if self.link else [])
        blocks.append(["Look further:", f"  {self.sql};"])
        return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"

    def as_html(self, title: str, about_picture: str = "") -> str:
        """A whole document in which every name is text.

        Parameters
        ----------
        title : the subject.
        about_picture : what an inline picture shows, for who does not see it; empty: there is
            none. Its address is `PICTURE`.
        """
        parts = [self._head()]
        if about_picture:
            # On white paper of its own, since it is drawn for one.
            parts.append(
                f'<img {PICTURE} width="{PICTURE_WIDTH}" alt="{escape(about_picture)}" '
                'style="display: block; width: 100%; max-width: 100%; height: auto; '
                'border-radius: 6px; background-color: #ffffff; margin: 14px 0 4px;">'
            )
        parts += [_paragraph(text, "muted") for text in self.paragraphs]
        parts += [self._button(), self._facts(), self._list()]
        parts += [_section(name, lines) for name, lines in self.sections]
        parts.append(_section("Look further", [f"{self.sql};"], is_small=True))
        return _DOCUMENT.format(
            title=escape(title), style=_STYLE, font=_FONT, content="\n".join(filter(None, parts))
        )

    def _head(self) -> str:
        mark = _SEVERITIES.get(self.severity, "")
        chip = f'<b class="{escape(self.severity)}">{mark}</b> · ' if mark else ""
        return (
            f'<p class="muted" style="margin: 0 0 6px; font-size: 13px;">{chip}'
            f"{escape(self.kicker)}</p>"
            '<h1 class="ink" style="margin: 0; font-size: 20px; line-height: 1.3; '
            f'font-weight: 600; overflow-wrap: anywhere;">{escape(self.sentence)}</h1>'
        )

    def _button(self) -> str:
        if not self.link:
            return ""
        return (
            f'<p style="margin: 16px 0 4px;"><a class="button" href="{escape(self.link)}" '
            'style="display: inline-block; padding: 10px 18px; border-radius: 6px; '
            'font-size: 15px; font-weight: 600; text-decoration: none;">Open on the page</a></p>'
        )

    def _facts(self) -> str:
        rows = [
            f'<tr><th scope="row" align="left" valign="top" class="muted line" style="padding: 6px '
            f'12px 6px 0; font-weight: 400; white-space: nowrap;">{escape(name)}</th>'
            f'<td class="ink line" style="padding: 6px 0; overflow-wrap: anywhere;">'
            f"{escape(text)}</td></tr>"
            for name, text in self.facts.items()
        ]
        return _table(rows)

    def _list(self) -> str:
        rows = []
        for one in self.listed:
            what = f'<span class="ink">{escape(one.what)}</span>'
            if one.link:
                what = f'<a class="link" href="{escape(one.link)}">{escape(one.what)}</a>'
            mark = _SEVERITIES.get(one.severity, "")
            marked = f'<b class="{escape(one.severity)}">{mark}</b>' if mark else ""
            said = " · ".join(filter(None, [marked, escape(one.event), escape(one.when)]))
            rows.append(
                f'<tr><td class="line" style="padding: 8px 0; overflow-wrap: anywhere;">{what}<br>'
                f'<span class="muted" style="font-size: 13px;">{said}</span></td></tr>'
            )
        left = _paragraph(f"… and {self.n_left} more.", "muted") if self.n_left else ""
        return _table(rows) + left


def _table(rows: Sequence[str]) -> str:
    if not rows:
        return ""
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" '
        f'style="margin: 14px 0 0; font-size: 14px; border-collapse: collapse;">{"".join(rows)}'
        "</table>"
    )


def _paragraph(text: str, kind: str) -> str:
    return f'<p class="{kind}" style="margin: 12px 0 0; font-size: 14px;">{escape(text)}</p>'


def _section(title: str, lines: Sequence[str], *, is_small: bool = False) -> str:
    """Lines that begin with spaces are code, others are prose."""
    size = 12 if is_small else 14
    kind = "muted" if is_small else "ink"
    weight = 400 if is_small else 600
    head = (
        f'<p class="{kind}" style="margin: 16px 0 4px; font-size: {size}px; '
        f'font-weight: {weight};">{escape(title)}</p>'
        if title
        else ""
    )
    if not is_small and not any(line.startswith(" ") for line in lines):
        return head + "".join(_paragraph(line, "ink") for line in lines)
    text = escape("\n".join(line.strip() for line in lines))
    return (
        f'{head}<pre class="code" style="margin: 0; padding: 8px 10px; border-radius: 6px; {_MONO}'
        f' white-space: pre-wrap; overflow-wrap: anywhere;">{text}</pre>'
    )


_DOCUMENT = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body class="ground" style="margin: 0; padding: 0; {font}">
<table role="presentation" class="ground" width="100%" cellpadding="0" cellspacing="0">
<tr><td class="pad" align="center" style="padding: 20px 12px;">
<table role="presentation" class="card" width="100%" cellpadding="0" cellspacing="0"
 style="max-width: 608px; text-align: left;">
<tr><td class="in" style="padding: 22px 24px;">
{content}
</td></tr></table>
</td></tr></table>
</body>
</html>
"""
