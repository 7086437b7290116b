"""The way to the API, over httpx: nothing else knows it."""

from bulk.client.address import DEFAULT_BASE_URL, check_base_url, is_loopback
from bulk.client.speaking import (
    BODY_BYTES_MAX,
    LANE_CONNECTIONS,
    WORDS_MAX,
    Client,
    Timeouts,
    request_body,
)

__all__ = [
    "BODY_BYTES_MAX",
    "DEFAULT_BASE_URL",
    "LANE_CONNECTIONS",
    "WORDS_MAX",
    "Client",
    "Timeouts",
    "check_base_url",
    "is_loopback",
    "request_body",
]
