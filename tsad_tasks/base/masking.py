"""The one place that keeps secrets out of what is shown: errors, log lines, rows, mail and PDF.

What is masked is known by its form (a URI's password, a token's parameter, a key of a cloud), or by
heart: what a connection holds is learned where it is read, so that a driver's error gives away
nothing, in whatever form it quotes it.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

HIDDEN = "***"
# Shorter ones are found by their place alone: as words they would be cut out of any text.
_SHORTEST = 6
_LONGEST_KNOWN = 10_000
# Of keys that are known by their form.
_SHORTEST_KEY = 18
# Words of any message, even where they are somebody's password.
_ORDINARY = {
    "access", "account", "airflow", "authentication", "connection", "database", "default", "failed",
    "localhost", "password", "postgres", "postgresql", "public", "secret", "server", "timeout",
    "warehouse",
}  # fmt: skip

_NAME = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret|token|signature|credentials?|authorization|cookie"
    r"|(?:api|access|account|auth|encryption|fernet|master|private|secret|shared|signing)"
    r"[_-]?(?:access[_-]?)?key(?:[_-]?id)?)\d*"
)
_QUOTED = (
    r"""(?:'(?:[^'\\]|\\+[^\\])*')+|'[^\n]*|(?:"(?:[^"\\]|\\+[^\\])*")+|"[^\n]*"""
    r"""|\\+["'].*?(?:\\+["']|$)"""
)
# Up to where a parameter or a word of prose ends; a full stop or bracket may belong to it.
_BARE = r"[^\s&'\"]+?(?=$|[\s&'\"]|[;,](?:\s|[\w-]+=|$)|[)\]}>]+(?:[\s,.;:]|$)|\.(?:\s|$))"
_KIND = r"(?:(?:basic|bearer|token|digest|apikey|sharedkey|aws4-hmac-sha256)\s+)"


@cache
def _forms() -> re.Pattern[str]:
    """All forms; compiled when the first text is looked at, since each import would pay for it."""
    return re.compile(
        "|".join(
            (
                # Whole keys, and what nothing but a secret looks like.
                r"(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----.*?"
                r"(?:-----END [A-Z ]*PRIVATE KEY-----|$))",
                r"(?P<key>\b(?-i:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_\w{16,}|\bxox[a-z]-[\w-]{8,}"
                r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)",
                # user:password@ of a URI; a password may hold what should have been encoded.
                r"(?P<before_password>://[^\s:/@'\"<>?#\[\]]*:)(?!\d+(?:[/?,'\"\s]|$))"
                r"(?P<password>(?:(?!://)[^\s'\"<>])*@|(?:(?!://)\S)*@)",
                # The same without a scheme, as drivers quote it.
                r"(?P<before_pair>(?<![\w.%+:@-])(?!(?:mailto|to|from|cc|bcc):)[\w.%+-]+:)"
                r"(?P<pair>(?!\d+[?/,&#])[^\s@/'\"]+@(?=[\w\[]))",
                # A token in the place of the user.
                r"(?P<before_user>\bhttps?://)(?P<user>[^\s/@'\"<>:]+@)",
                # Paths of webhooks, whole or as an HTTP client quotes them.
                r"(?P<before_path>(?:\bhttps?://[^\s/'\"<>]+|\burl: |\bPOST )/(?:[\w.@-]+/)*?"
                r"(?:hooks?|webhooks?|webhookb2|services|workflows)/|/bot(?=\d+:))"
                r"(?P<path>[^\s'\"<>)]+)",
                # name=value, "name": "value", Name: value.
                rf"(?P<before_value>{_NAME}(?:\\*[\"'])?\s*(?:=|:|=>|\s(?='))\s*(?!Expected\b){_KIND}?)"
                rf"(?P<value>{_QUOTED}|{_BARE})",
                r"(?P<before_query>[?&](?:sig|key|code|auth|pass|sign)=)(?P<query>[^\s&'\"<>)]+)",
                r"(?P<before_header>\b(?:basic|bearer)\s)"
                r"(?P<header>(?=[a-z]*(?-i:[A-Z0-9+/_=]))[a-z0-9+/_.=-]{12,})",
                r"(?P<before_quoted>[\"']pass[\"']\s*:\s*)(?P<quoted>" + _QUOTED + ")",
            )
        ),
        re.IGNORECASE | re.DOTALL,
    )


# The text of an example is none.
_EXAMPLES = "://user:password@"
_IS_HIDDEN = re.compile(r".*\*\*\*\W*", re.DOTALL)
# Patterns of what was learned.
_known: dict[str, None] = {}


def is_secret_name(name: str) -> bool:
    """Whether what has that name is a secret.

    >>> is_secret_name("sslpassword"), is_secret_name("host")
    (True, False)
    """
    return re.search(_NAME, name, re.IGNORECASE) is not None


def learn(given: object) -> None:
    """Keeps in mind what is secret in a URI, a connection string, JSON, or a mapping of options.

    >>> learn("postgresql://me:p%40ssw0rd@db.example/plant")
    >>> masked("FATAL: no entry for p@ssw0rd")
    'FATAL: no entry for ***'
    """
    if isinstance(given, Mapping):
        for name, value in given.items():
            if isinstance(value, str) and is_secret_name(str(name)):
                _keep(value.rpartition(" ")[2])
                _keep(value)
            learn(value)
    elif isinstance(given, list | tuple):
        for one in given:
            learn(one)
    elif isinstance(given, str) and given:
        with suppress(ValueError):
            found = json.loads(given)
            learn(None if isinstance(found, str) else found)
        for secret, user in _secrets_in(given):
            _keep(secret, user)


def learn_url(url: str) -> None:
    """The same of a URL that is a secret itself, as a webhook's, or has one in its path.

    >>> learn_url("https://chat.example/T0123/B4567")
    >>> masked("HTTPConnectionPool(host='chat.example'): no answer at /T0123/B4567")
    "HTTPConnectionPool(host='chat.example'): no answer at ***"
    """
    learn(url)
    plain = unquote(url)
    plain = plain[plain.rfind("://") :]
    path = urlsplit(f"x{plain}")
    _keep(f"{path.path}?{path.query}" if path.query else path.path)
    for part in (path.path, path.query, *re.split(r"[/?&=]", f"{path.path}?{path.query}")):
        # Words name what is there; tokens have figures or capitals.
        if re.search(r"[A-Z0-9]", part) or len(part) >= 24:
            _keep(part)


def _secrets_in(text: str) -> Iterator[tuple[str, str]]:
    """Secrets in a URI or connection string, each with the user that it is the password of."""
    scheme, has_scheme, rest = text.partition("://")
    if has_scheme and "@" in rest:
        # A password may hold what should have been encoded, even a slash.
        login = rest.rpartition("@")[0]
        user, _, password = login.partition(":")
        if re.match(r"\d+(?:[/?,]|$)", password) and "@" not in rest.partition("/")[0]:
            password = ""
        elif not password and scheme.lower() in ("http", "https"):
            password = user
        yield password, unquote(user)
        for part in re.split(r"[@:/?#]", password):
            yield part, ""
    for found in _forms().finditer(text):
        if found["before_password"] or found["before_user"]:
            continue
        secret = next(found[name] for name in reversed(_hiding()) if found[name])
        inner = secret.strip("\\'\"").rstrip("@")
        yield inner, ""
        yield re.sub(r"\\(.)", r"\1", inner), ""


def _keep(secret: str, user: str = "") -> None:
    """Knows a secret in all forms in which a message may quote it."""
    for plain in {secret, unquote(secret), unquote_plus(secret)}:
        if len(plain) < _SHORTEST or len(plain) > _LONGEST_KNOWN or plain.lower() in _ORDINARY:
            continue
        # Whoever takes his name for a password: it is said anyway.
        if plain == user:
            continue
        quoted = {plain, quote(plain, safe=""), quote(plain), quote_plus(plain)}
        quoted |= {json.dumps(plain)[1:-1], repr(plain)[1:-1], repr(repr(plain))[2:-2]}
        quoted |= {one.replace("'", "\\'") for one in (plain, plain.replace("\\", "\\\\"))}
        words = (rf"(?<!\w){re.escape(one)}(?!\w)" for one in quoted)
        encoded = (rf"{re.escape(one)}[\w+/=-]*" for one in _encoded(plain))
        _known.update(dict.fromkeys((*words, *encoded)))


def _encoded(plain: str) -> Iterator[str]:
    """What the text becomes in base 64, whatever comes before it, without the ends that vary."""
    content = plain.encode("utf-8", "replace")
    for n_before, start in enumerate((0, 2, 3)):
        whole = b64encode(bytes(n_before) + content).decode("ascii")
        part = whole[start : (n_before + len(content)) * 8 // 6]
        yield from {part, part.translate(str.maketrans("+/", "-_"))}


@cache
def _hiding() -> tuple[str, ...]:
    """Groups of the forms that hold a secret."""
    return tuple(name for name in _forms().groupindex if not name.startswith("before_"))


def _hidden(found: re.Match[str]) -> str:
    if found[0].endswith(_EXAMPLES) or _IS_HIDDEN.fullmatch(found[0]):
        return found[0]
    name = next(name for name in reversed(_hiding()) if found[name] is not None)
    before = found[f"before_{name}"] if f"before_{name}" in _forms().groupindex else ""
    secret = found[name]
    end = "@" if name in ("password", "pair", "user") else ""
    mark = re.match(r"\\*[\"']", secret)
    quotes = mark[0] if mark else ""
    return f"{before}{quotes}{HIDDEN}{quotes}{end}"


@lru_cache(maxsize=4)
def _known_pattern(n_known: int) -> re.Pattern[str]:
    """Matches what is known, the longest first, and not within a longer word."""
    return re.compile("|".join(sorted(list(_known)[:n_known], key=len, reverse=True)) or r"(?!)")


def masked(text: str) -> str:
    """The text with *** in the place of each secret; hosts, ports, users and databases stay.

    >>> masked("no answer of postgresql://me:hunter2@db:5432/plant?sslpassword=x&sslmode=require")
    'no answer of postgresql://me:***@db:5432/plant?sslpassword=***&sslmode=require'
    >>> masked('password authentication failed for user "me"')
    'password authentication failed for user "me"'
    """
    # Most of what is drawn or listed is short, and has no place for a secret.
    if len(text) >= _SHORTEST_KEY or ":" in text or "=" in text:
        text = _forms().sub(_hidden, text)
    return _known_pattern(len(_known)).sub(HIDDEN, text) if _known else text


def masked_values(value: Any) -> Any:
    """The texts in a value as JSON has it, masked."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {name: masked_values(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(masked_values(item) for item in value)
    return value


def without_secrets(error: BaseException) -> BaseException:
    """The error, and those that it came from, with masked texts; else another in its place.

    For the edges, where an error is shown by somebody else: a traceback prints all of them.
    """
    seen: dict[int, BaseException] = {}

    def cleared(one: BaseException) -> BaseException:
        if id(one) in seen:
            return seen[id(one)]
        seen[id(one)] = one
        _mask_texts(one)
        shown = one
        if _is_telling(one):
            shown = RuntimeError(f"{type(one).__name__}: {masked(str(one))}")
            shown.__traceback__ = one.__traceback__
            shown.__suppress_context__ = one.__suppress_context__
            seen[id(one)] = shown
        before = one.__suppress_context__
        if one.__cause__ is not None:
            shown.__cause__ = cleared(one.__cause__)
        if one.__context__ is not None:
            shown.__context__ = cleared(one.__context__)
        shown.__suppress_context__ = before
        return shown

    return cleared(error)


@contextmanager
def masked_errors() -> Iterator[None]:
    """Lets errors through `without_secrets`."""
    try:
        yield
    except Exception as error:
        shown = without_secrets(error)
        if shown is error:
            raise
        raise shown from shown.__cause__


def _mask_texts(error: BaseException) -> None:
    """Masks the texts of one error in place, as far as its class lets us."""
    if not _is_telling(error):
        return
    error.args = tuple(_masked_part(part) for part in error.args)
    named = {name: getattr(error, name, None) for name in ("strerror", "filename", "filename2")}
    for name, value in (vars(error) | named).items():
        if isinstance(value, str | bytes | Mapping | list | tuple):
            try:
                setattr(error, name, _masked_part(value))
            except (AttributeError, TypeError):
                continue
    orig = getattr(error, "orig", None)
    if isinstance(orig, BaseException):
        _mask_texts(orig)


def _masked_part(part: Any) -> Any:
    if isinstance(part, bytes):
        return masked(part.decode("utf-8", "replace")).encode()
    if isinstance(part, BaseException):
        _mask_texts(part)
        return RuntimeError(masked(str(part))) if _is_telling(part) else part
    if isinstance(part, str | Mapping | list) or type(part) is tuple:
        return masked_values(part)
    # A parameter of a statement, a request or a pool: only its text is shown.
    text = str(part)
    return part if masked(text) == text else masked(text)


def _is_telling(error: BaseException) -> bool:
    return any(masked(text) != text for text in (str(error), repr(error), *_notes(error)))


def _notes(error: BaseException) -> list[str]:
    return list(getattr(error, "__notes__", ()))
