"""What lets a client in: tokens with a scope and an end, and signed addresses. Nothing of them is kept."""

from __future__ import annotations

import hmac
import os
import secrets
import time
from pathlib import Path
from typing import Literal

from sealift.localhub.cas.refusals import Refused

Scope = Literal["read", "write"]
_ALSO: dict[str, tuple[str, ...]] = {"read": ("read", "write"), "write": ("write",)}
"""The tokens that do for what needs a scope."""


class Signer:
    """Makes and checks what only it can make: whoever has the key can."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, scope: Scope, seconds: int) -> tuple[str, int]:
        """A token for that long, and its end in unix seconds."""
        expiry = int(time.time()) + seconds
        return f"{scope}.{expiry}.{self.sign(scope, expiry)}", expiry

    def sign(self, what: str, expiry: int) -> str:
        """The signature under a permission that ends then."""
        return hmac.digest(self._key, f"{what} {expiry}".encode(), "sha256").hex()

    def check_token(self, token: str, scope: Scope) -> None:
        """Nothing, if the token does for that scope.

        Raises:
            Refused: 401 if it is none of ours or has ended, 403 if it is for less.
        """
        what, _, rest = token.partition(".")
        expiry, _, signature = rest.partition(".")
        if not self._holds(what, expiry, signature):
            raise Refused(401, "the token is not valid, or not any more: ask the Hub for a new one")
        if what not in _ALSO[scope]:
            raise Refused(403, f"the token may {what}, and this needs one that may {scope}")

    def check_signature(self, what: str, expiry: str, signature: str) -> None:
        """Nothing, if the address was signed for this.

        Raises:
            Refused: 403, at which a client asks for a new address.
        """
        if not self._holds(what, expiry, signature):
            raise Refused(403, "the address is not signed, or not any more: ask for the reconstruction again")

    def _holds(self, what: str, expiry: str, signature: str) -> bool:
        if not (expiry.isascii() and expiry.isdecimal() and len(expiry) < 12 and signature.isascii()):
            return False
        return hmac.compare_digest(self.sign(what, int(expiry)), signature) and int(expiry) > time.time()


def kept_key(path: Path) -> bytes:
    """The key in that file, made at the first time; only its owner may read it."""
    if not path.exists():
        half = path.with_suffix(".half")
        half.unlink(missing_ok=True)
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        os.replace(half, path)
    return path.read_bytes()
