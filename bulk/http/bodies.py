"""Reads an answer's body, packed or not, and never more of it than is wanted."""

from __future__ import annotations

import zlib

import httpx

# We ask for none, but some gateways pack all the same.
_ZLIB_ENCODINGS = ("gzip", "x-gzip", "deflate")
_EITHER_FORMAT = 47  # for zlib: takes the header of gzip and of deflate


async def bounded_body(response: httpx.Response, bytes_max: int) -> bytes:
    """The body's beginning. It is unpacked here, as httpx would unpack a bomb as a whole."""
    body = bytearray()
    packed = response.headers.get("content-encoding", "").strip().lower() in _ZLIB_ENCODINGS
    unpacker = zlib.decompressobj(_EITHER_FORMAT) if packed else None
    try:
        async for chunk in response.aiter_raw():
            room = max(1, bytes_max + 1 - len(body))  # to zlib, 0 would be no bound
            try:
                body += chunk[:room] if unpacker is None else unpacker.decompress(chunk, room)
            except zlib.error:  # not packed as it says, so taken as it is
                unpacker = None
                body += chunk[:room]
            if len(body) > bytes_max:
                # Closing ends the stream; leaving the loop would leave it to the garbage collector.
                await response.aclose()
    except (httpx.HTTPError, httpx.StreamError):
        if len(body) <= bytes_max:
            raise
    return bytes(body[:bytes_max])
