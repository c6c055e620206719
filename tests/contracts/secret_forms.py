"""Forms in which a secret gets into a connection: right ones, and as people get them wrong.

`SECRET` stands in each of them; `{at}` is a place that refuses, `{server}` one that answers.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterator
from contextlib import suppress
from re import findall, sub
from urllib.parse import quote, unquote

SECRET = "k9Marker7Qx"
BASIC = b64encode(f"me:{SECRET}".encode()).decode()
KEY_ID = "AKIA" + SECRET.upper().ljust(16, "0")[:16]
PEM = f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"
EXTRA = quote(json.dumps({"sslpassword": SECRET, "sslmode": "prefer"}), safe="")

_PASSWORDS = {
    "plain": SECRET,
    "encoded": f"%40{SECRET}%2F",
    "with a per cent sign": f"a%zz{SECRET}",
    "with @": f"a@{SECRET}",
    "with @ behind": f"{SECRET}@a",
    "with a slash": f"a/{SECRET}",
    "with figures and a slash": f"12/{SECRET}",
    "with a colon": f"a:{SECRET}",
    "with a hash": f"a#{SECRET}",
    "with a question": f"a?{SECRET}",
    "with a parameter": f"a?x={SECRET}",
    "with a space": f"a {SECRET}",
    "with a quote": f"a'{SECRET}",
    "with a double quote": f'a"{SECRET}',
    "with a backslash": f"a\\{SECRET}",
    "with a line end": f"a\n{SECRET}",
    "with a bracket": f"[{SECRET}",
    "with a sign that is none in a host": f"a\u2100{SECRET}",
    "with a null byte": f"{SECRET}%00",
}


def _logins(before: str, after: str) -> dict[str, str]:
    """A URI for each password."""
    return {name: f"{before}me:{one}@{after}" for name, one in _PASSWORDS.items()}


POSTGRES = _logins("postgresql://", "{at}/plant") | {
    "of psycopg2": f"postgresql+psycopg2://me:{SECRET}@{{at}}/plant",
    "short scheme": f"postgres://me:{SECRET}@{{at}}/plant",
    "other scheme": f"mysql://me:{SECRET}@{{at}}/plant",
    "scheme without colon": f"postgresql//me:{SECRET}@{{at}}/plant",
    "no scheme": f"me:{SECRET}@{{at}}/plant",
    "no host": f"postgresql://me:{SECRET}",
    "empty user": f"postgresql://:{SECRET}@{{at}}/plant",
    "parameter": f"postgresql://{{at}}/plant?user=me&password={SECRET}",
    "parameter of a key": f"postgresql://me@{{at}}/plant?sslpassword={SECRET}",
    "unknown parameter": f"postgresql://me@{{at}}/plant?token={SECRET}",
    "IPv6": f"postgresql://me:{SECRET}@[::1]:{{port}}/plant",
    "IPv6 left open": f"postgresql://me:{SECRET}@[::1:{{port}}/plant",
    "hosts": f"postgresql://me:{SECRET}@{{at}},{{at}}/plant",
    "port that is none": f"postgresql://me:{SECRET}@127.0.0.1:x/plant",
    "service": f"postgresql://me:{SECRET}@/plant?service=none",
    "passfile": "postgresql://me@{at}/plant?passfile={passfile}",
    "DSN": f"host=127.0.0.1 port={{port}} user=me password={SECRET} dbname=plant",
    "DSN in quotes": f"host=127.0.0.1 port={{port}} user=me password='a b{SECRET}' dbname=plant",
    "DSN with escapes": f"host=127.0.0.1 port={{port}} user=me password='a\\'{SECRET}\\\\'",
    "DSN left open": f"host=127.0.0.1 user=me password='{SECRET}",
    "DSN with spaces": f"host=127.0.0.1 port={{port}} dbname = plant user = me password = {SECRET}",
    "DSN without sign": f"host=127.0.0.1 password {SECRET}",
    "Airflow's JSON": json.dumps({"conn_type": "postgres", "host": "x", "password": SECRET}),
    "Airflow's extra": f"postgres://me:{SECRET}@{{at}}/plant?__extra__={EXTRA}",
    "refused login": f"postgresql://{{login}}:{SECRET}@{{server}}/{{database}}",
    "unknown login": f"postgresql://me:{SECRET}@{{server}}/{{database}}",
}

_PLAIN = "from_email=a%40example.com&disable_ssl=true&disable_tls=true"
SMTP = _logins("smtp://", f"{{at}}?{_PLAIN}") | {
    "answered": f"smtp://me:{SECRET}@{{server}}?{_PLAIN}",
    "answered, encoded": f"smtp://me:%40{SECRET}%2F@{{server}}?{_PLAIN}",
    "answered, a token": f"smtp://me@{{server}}?{_PLAIN}&auth_type=oauth2&access_token={SECRET}",
    "no host": f"smtp://me:{SECRET}",
    "no sender": f"smtp://me:{SECRET}@{{at}}",
    "empty user": f"smtp://:{SECRET}@{{at}}?{_PLAIN}",
    "parameter": f"smtp://{{at}}?{_PLAIN}&password={SECRET}",
    "port that is none": f"smtp://me:{SECRET}@127.0.0.1:x?{_PLAIN}",
    "IPv6": f"smtp://me:{SECRET}@[::1]:{{port}}?{_PLAIN}",
    "IPv6 left open": f"smtp://me:{SECRET}@[::1:{{port}}?{_PLAIN}",
    "other wait": f"smtp://me:{SECRET}@{{at}}?{_PLAIN}&timeout={SECRET}",
    "TLS": f"smtp://me:{SECRET}@{{server}}?from_email=a%40example.com&timeout=1",
}

APPRISE = {
    "login": f"json://me:{SECRET}@{{at}}/x",
    "path": f"json://{{at}}/hooks/{SECRET}",
    "path that refuses": f"json://{{server}}/{SECRET}",
    "parameter": f"json://{{at}}/x?+X-Api-Key={SECRET}",
    "service that nobody knows": f"nowhere://{SECRET}",
}
WEBHOOK = _logins("http://", "{at}/hooks") | {
    "path of Slack": f"http://{{at}}/services/T0123/B4567/{SECRET}",
    "path of Discord": f"http://{{at}}/api/webhooks/123/{SECRET}",
    "path of Teams": f"http://{{at}}/webhookb2/a@b/IncomingWebhook/{SECRET}/c",
    "path of Telegram": f"http://{{at}}/bot123:{SECRET}/sendMessage",
    "path": f"http://{{at}}/{SECRET}",
    "path that refuses": f"http://{{server}}/{SECRET}",
    "path with a space": f"http://{{server}}/a {SECRET}",
    "parameter token": f"http://{{at}}/x?token={SECRET}",
    "parameter sig": f"http://{{server}}/x?sp=%2Frun&sig={SECRET}",
    "parameter api_key": f"http://{{at}}/x?api_key={SECRET}",
    "parameter key": f"http://{{at}}/x?key={SECRET}&threadKey=1",
    "presigned": f"http://{{at}}/b/k?X-Amz-Credential={SECRET}%2Feu&X-Amz-Signature={SECRET}",
    "token as user": f"http://{SECRET}@{{at}}/x",
    "user that answers": f"http://me:{SECRET}@{{server}}/x",
    "Airflow's host": f"http://https%3A%2F%2F{{at}}%2Fhooks%2F{SECRET}",
    "port that is none": f"http://127.0.0.1:{SECRET}/x",
    "other scheme": f"slack://{SECRET}@{{at}}",
}

# Places of artifacts, and what the environment says beside them.
STORES: dict[str, tuple[str, dict[str, str]]] = {
    "key": ("s3://one/a", {"AWS_SECRET_ACCESS_KEY": SECRET}),
    "token": ("s3://two/a", {"AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": SECRET}),
    "login": (f"s3://me:{SECRET}@three/a", {}),
    "login of the endpoint": (
        "s3://four/a",
        {"AWS_ENDPOINT_URL_S3": f"http://me:{SECRET}@{{at}}", "AWS_SECRET_ACCESS_KEY": SECRET},
    ),
    "port of the endpoint": ("s3://five/a", {"AWS_ENDPOINT_URL_S3": f"http://h:{SECRET}"}),
    "slash in the endpoint": (
        "s3://six/a",
        {"AWS_ENDPOINT_URL_S3": f"http://me:a/{SECRET}@{{at}}"},
    ),
    "presigned": (f"http://{{at}}/b/k?X-Amz-Signature={SECRET}", {}),
    "SAS": (f"http://{{at}}/b/k?sv=2024&sig={SECRET}", {}),
    "web": (f"http://me:{SECRET}@{{at}}/b", {}),
    "web with @": (f"http://me:a@{SECRET}@{{at}}/b", {}),
    "Azure": (f"abfs://me:{SECRET}@account/b", {}),
    "unknown": (f"plant://me:{SECRET}@{{at}}/b", {}),
}

# Texts of programs that nobody here runs, as they end up in an error.
SAID = {
    "presigned": f"403 for url: https://b.s3.amazonaws.com/k?X-Amz-Date=1&X-Amz-Signature={SECRET}",
    "presigned, old": f"https://b.s3.amazonaws.com/k?AWSAccessKeyId={KEY_ID}&Signature={SECRET}",
    "options": f"{{'key': '{KEY_ID}', 'secret': '{SECRET}', 'anon': False}}",
    "options in JSON": json.dumps({"aws_secret_access_key": SECRET, "region": "eu"}),
    "options in JSON in JSON": json.dumps({"extra": json.dumps({"secret": SECRET})}),
    "key id": f"InvalidAccessKeyId: {KEY_ID}",
    "Azure": f"AccountName=a;AccountKey={SECRET}==;EndpointSuffix=core.windows.net",
    "Azure's SAS": f"https://a.blob.core.windows.net/c?sv=2024&se=2026&sig={SECRET}%3D",
    "Azure's bus": f"Endpoint=sb://a/;SharedAccessKeyName=n;SharedAccessKey={SECRET}",
    "Google": json.dumps({"type": "service_account", "private_key": PEM}),
    "PEM": PEM,
    "header": f"{{'Authorization': 'Bearer {SECRET}'}}",
    "header, basic": f"> Authorization: Basic {BASIC}",
    "header without name": f"sent Basic {BASIC}",
    "own header": f"X-Api-Key: {SECRET}",
    "cookie": f"Set-Cookie: {SECRET}; Path=/",
    "JWT": f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIi{SECRET}.c2lnbmF0dXJl",
    "Slack's token": f"invalid_auth xoxb-123-{SECRET}",
    "GitHub's token": f"ghp_{SECRET}{SECRET}",
    "environment": f"AWS_SECRET_ACCESS_KEY={SECRET} AWS_REGION=eu",
    "YAML": f"password: {SECRET}",
    "call": f"connect(host='x', password='{SECRET}', port=1)",
    "call, doubled": f'connect(password="a\\"{SECRET}")',
    "SQL": f"ALTER ROLE me PASSWORD = '{SECRET}'",
    "pool": f"HTTPConnectionPool(host='x', port=1): no answer, with url: /services/{SECRET}",
    "URI in brackets": f"<postgresql://me:{SECRET}@h/d>",
    "URI with @": f"no host in postgresql://me:a@{SECRET}@h:1/d today",
    "URI with a slash": f"no host in postgresql://me:a/{SECRET}@h:1/d today",
    "URI of http": f"https://{SECRET}@github.example/a.git",
    "pair": f'could not translate host name "me:{SECRET}@h"',
}


def traces(text: str) -> list[str]:
    """Where the secret, or a part of it that somebody could use, stands in a text."""
    found = [said for said in _readings_of(text) if SECRET.lower() in said.lower()]
    return [*found, *findall(KEY_ID, text)]


def _readings_of(text: str) -> Iterator[str]:
    yield text
    yield unquote(text)
    yield sub(r"\\(.)", r"\1", text)
    for word in findall(r"[\w+/-]{12,}=*", unquote(text)):
        for start in range(4):
            part = word[start:].rstrip("=")
            with suppress(Error, ValueError):
                yield b64decode(part + "=" * (-len(part) % 4)).decode("latin-1")
