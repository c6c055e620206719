"""What a way to people is: a file of this folder, registered under its name in dataset files.

A channel sends over a connection: ours are URIs in `TSAD_CONNECTION_<ID>`, Airflow's have fields
beside. No error says more of a connection than its id, since a webhook's URL may be a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

from tsad_tasks.base.errors import BadInput, Unreachable
from tsad_tasks.base.masking import learn, learn_url, masked, masked_values
from tsad_tasks.base.variants import CHANNELS

TIMEOUT_S = 10.0
# What a message does to who holds its alert open; all others open it, or say more of it.
_ACTIONS = {
    "taken": "acknowledge",
    "closed": "resolve",
    "withdrawn": "resolve",
    "back": "resolve",
    "test_over": "resolve",
}
register = CHANNELS.register


@dataclass(frozen=True)
class Message:
    """One message to one address; `medium` is the channel's name.

    `html` says what `text` says, to channels that take it (empty: they have the text alone), with
    `letter.PICTURE` where the picture, a PNG, belongs.
    """

    key: str
    medium: str
    connection: str
    address: str
    subject: str
    text: str
    payload: dict[str, Any]
    html: str = ""
    picture: bytes | None = field(default=None, repr=False)

    @property
    def thread(self) -> str:
        """The name of the alert or the news that it is about; empty for a digest."""
        return str(self.payload.get("thread", ""))

    @property
    def dedup_key(self) -> str:
        """The same in all messages of one alert, silence or piece of news."""
        return self.thread or self.key

    @property
    def action(self) -> str:
        """trigger, acknowledge or resolve."""
        return _ACTIONS.get(str(self.payload.get("event")), "trigger")


@dataclass(frozen=True)
class Connection:
    """A server, and who we are to it; what is secret of it is kept out of all that is shown."""

    uri: str = field(repr=False)  # with user and password, as `urllib.parse` splits it
    # What Airflow's connection holds in its extra field
    extras: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        learn_url(self.uri)
        learn(self.extras)


class NotificationChannel(Protocol):
    """A way to people."""

    # Used by targets that name none; None: they must name one
    default_connection: ClassVar[str | None] = None
    # Whether it shows HTML with a picture
    takes_html: ClassVar[bool] = False
    # Whether it holds each alert open until it hears that it ended: it gets each event by itself,
    # who has an incident in hand too, and what never ends only where a target asks for it
    keeps_state: ClassVar[bool] = False

    def check_address(self, address: str) -> None:
        """Raises `ValueError`, which says what is expected, unless it is an address."""

    def send(self, message: Message, connection: Connection) -> None:
        """Sends one message.

        Raises
        ------
        Undelivered
            It was not accepted: try again later. `Refused`: the receiver does not want it.
            `Unreachable`: nothing can be sent through this connection now.
        """
        ...


Send = Callable[[Message], None]


def sender(connection_of: Callable[[str], str | Connection]) -> Send:
    """Sends messages over connections, or their URIs, that `connection_of` gives by id."""

    def send(message: Message) -> None:
        try:
            channel: NotificationChannel = CHANNELS[message.medium]()
            found = connection_of(message.connection)
        except BadInput as error:
            raise Unreachable(str(error)) from error
        connection = Connection(found) if isinstance(found, str) else found
        said: dict[str, Any] = {
            name: masked(getattr(message, name)) for name in ("subject", "text", "html")
        }
        channel.send(replace(message, **said, payload=masked_values(message.payload)), connection)

    return send


def unreachable(error: Exception, connection: str) -> Unreachable:
    """What an error below the protocol means, without the address that it may name."""
    inner = getattr(error, "reason", None)
    cause: Any = inner if isinstance(inner, Exception) else error
    while cause.__context__ is not None and not getattr(cause, "strerror", None):
        cause = cause.__context__
    said = getattr(cause, "strerror", None) or type(cause).__name__
    return Unreachable(
        f"Expected a server that answers at connection {connection}. Received: {said}."
    )
