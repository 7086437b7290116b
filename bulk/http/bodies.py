"""Reads an answer's body, compressed or not, up to a limit."""

from __future__ import annotations

import zlib

import httpx

# The client asks for no compression, but some gateways compress all the same.
_ZLIB_ENCODINGS = ("gzip", "x-gzip", "deflate")
_EITHER_FORMAT = 47  # zlib's `wbits` for gzip and deflate


async def bounded_body(response: httpx.Response, bytes_max: int) -> bytes:
    """The first `bytes_max` bytes of the body, decompressed; httpx would inflate a bomb whole.

    Raises httpx.HTTPError if the connection breaks before.
    """
    body = bytearray()
    compressed = response.headers.get("content-encoding", "").strip().lower() in _ZLIB_ENCODINGS
    inflater = zlib.decompressobj(_EITHER_FORMAT) if compressed else None
    try:
        async for chunk in response.aiter_raw():
            room = max(1, bytes_max + 1 - len(body))  # to zlib, 0 means no limit
            try:
                body += chunk[:room] if inflater is None else inflater.decompress(chunk, room)
            except zlib.error:  # not compressed as its header says, so taken as it is
                inflater = None
                body += chunk[:room]
            if len(body) > bytes_max:
                # Closing ends the stream now; `break` would leave that to the garbage collector.
                await response.aclose()
    except (httpx.HTTPError, httpx.StreamError):
        if len(body) <= bytes_max:
            raise
    return bytes(body[:bytes_max])
