"""Whose certificates are trusted, and what to say when one is not."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path

import certifi
import truststore

from bulk.errors import OptionError

UNTRUSTED = "certificate not trusted"


def tls_context(environment: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """Trusts what `SSL_CERT_FILE` and `SSL_CERT_DIR` name, and otherwise what the system trusts.

    A machine that has no store of its own, such as a slim container, trusts certifi's. Raises
    OptionError if the named certificates cannot be read.
    """
    file, folder = environment.get("SSL_CERT_FILE"), environment.get("SSL_CERT_DIR")
    if file or folder:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for variable, path in (("SSL_CERT_FILE", file), ("SSL_CERT_DIR", folder)):
            if path:
                _load(context, variable, path)
        return context
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if sys.platform not in ("win32", "darwin") and not _system_has_certificates():
        context.load_verify_locations(cafile=certifi.where())
    return context


def _load(context: ssl.SSLContext, variable: str, path: str) -> None:
    is_folder = variable.endswith("DIR")
    try:
        if is_folder:
            for one in filter(None, path.split(os.pathsep)):
                next(Path(one).iterdir(), None)  # OpenSSL ignores a folder that it cannot read
                context.load_verify_locations(capath=one)
        else:
            context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise OptionError(
            f"{variable} {path}: cannot read certificates: {why}. Name a "
            f"{'folder of hashed certificates' if is_folder else 'file of PEM certificates'}, or "
            "unset it to trust what the system trusts"
        ) from error


def _system_has_certificates() -> bool:
    paths = ssl.get_default_verify_paths()
    try:
        return bool(paths.cafile) or bool(paths.capath and any(Path(paths.capath).iterdir()))
    except OSError:
        return False


def explain(error: BaseException) -> str | None:
    """What is wrong with a server's certificate and what to do, if that is what failed."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    why = cause.verify_message or str(cause)
    if "hostname" in why.lower() or "ip address" in why.lower():
        return f"{UNTRUSTED}: {why}; check the host name in --base-url"
    if "expired" in why or "not yet valid" in why:
        return f"{UNTRUSTED}: {why}; check this machine's date and the server"
    return (
        f"{UNTRUSTED}: {why}. If a company's proxy or server has a CA of its own, add "
        "it to the system's trust store, or name its PEM file in SSL_CERT_FILE"
    )
