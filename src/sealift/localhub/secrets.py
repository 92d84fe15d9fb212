"""Tokens of the one user, and signatures for addresses that carry no token."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Role = Literal["read", "write"]


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """Made at random at the first start of a root, and kept there for its owner alone."""

    token: str
    read_token: str
    signing: str

    @classmethod
    def of(cls, root: Path) -> Secrets:
        """Those of the root; made if there are none."""
        path = root / "secrets.json"
        if not path.exists():
            made = {
                "token": f"hf_{secrets.token_hex(17)}",
                "read_token": f"hf_{secrets.token_hex(17)}",
                "signing": secrets.token_hex(32),
            }
            part = path.with_suffix(".part")
            part.unlink(missing_ok=True)
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(made, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        return cls(**json.loads(path.read_text()))

    def role(self, token: str) -> Role | None:
        """What the token allows; None if it is none of ours."""
        if hmac.compare_digest(token.encode(), self.token.encode()):
            return "write"
        if hmac.compare_digest(token.encode(), self.read_token.encode()):
            return "read"
        return None

    def sign(self, *said: object) -> str:
        """A signature that only this root can make of these values."""
        message = "\n".join(str(one) for one in said).encode()
        return hmac.new(self.signing.encode(), message, hashlib.sha256).hexdigest()

    def signed(self, signature: str, *said: object) -> bool:
        """Whether that is the signature of these values."""
        return hmac.compare_digest(signature.encode(), self.sign(*said).encode())
