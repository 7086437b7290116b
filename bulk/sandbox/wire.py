"""Requests, responses and exchanges, as the model and its transports pass them to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from bulk.sandbox.headers import HeaderPairs


class Delivery(Enum):
    """How a response is delivered, or fails to be."""

    WHOLE = auto()
    RESET = auto()
    HANG = auto()
    TRUNCATED = auto()
    ENDLESS = auto()
    DRIP = auto()
    NOT_HTTP = auto()
    CONNECT_REFUSED = auto()
    CONNECT_HANG = auto()


# Slow enough that a body of 100 bytes outlasts any sane time-out, and fast enough that no single
# read times out: only a client that limits the whole response escapes.
DRIP_GAP_S = 1.0
# 1.6 MB/s: too much for a client that reads on, little enough for the machine that runs both.
ENDLESS_GAP_S = 0.01
ENDLESS_CHUNK = b" " * 16_384
NOT_HTTP = b"\x00\x01\x02 this is no HTTP \xff\xfe\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the model sees it; `path` is still percent-encoded."""

    method: str
    path: str
    query: str = ""
    authorization: str | None = None
    content_type: str | None = None
    body: bytes = b""
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """One response without its framing (Content-Length), which the transport adds."""

    status: int
    headers: HeaderPairs
    body: bytes
    delivery: Delivery = Delivery.WHOLE


@dataclass(slots=True)
class Exchange:
    """A request in flight and its response. Instants are the caller's monotonic seconds.

    Once the model is advanced to `arrives_at_s`, `response` is set, and `received_at_s` is when
    its first byte reaches the client. If `connect` is not WHOLE, the request never arrives.
    """

    request: Request
    arrives_at_s: float
    service_s: float
    back_s: float
    connect: Delivery = Delivery.WHOLE
    response: Response | None = field(default=None)
    received_at_s: float = 0.0
