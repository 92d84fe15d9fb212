"""A process in which the official clients are imported once, under an environment of its own, and called from here.

It calls what it is told to, by name or by reference to a function of a test module, and hands back what that returned
or raised. So a test reads as if the clients were called in place, and only one import is paid for each environment.
"""

from __future__ import annotations

import pickle
import pkgutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.hubs import CALL_SECONDS, Hub, tail


class ClientFailed(Exception):
    """A client raised what cannot be carried over to the test: its traceback as text."""


class Client:
    """The clients in one process. Use it with `with`; one call at a time."""

    def __init__(self, hub: Hub, home: Path, *, xet: bool) -> None:
        self.hub, self.home, self.xet = hub, home, xet
        self.api = Called(self, "huggingface_hub.hf_api:api")
        """Every method of `HfApi`."""
        self.files = Called(self, "huggingface_hub:hffs")
        """Every method of `HfFileSystem`."""

    @property
    def environment(self) -> dict[str, str]:
        return self.hub.environment(self.home, xet=self.xet)

    def __enter__(self) -> Client:
        self.home.mkdir(parents=True)
        self._log = self.home / "stderr"
        self._connection, theirs = Pipe()
        words = [sys.executable, "-c", f"from tests.hub.client import serve; serve({theirs.fileno()})"]
        with theirs, self._log.open("wb") as heard:
            self._process = subprocess.Popen(
                words, env=self.environment, pass_fds=[theirs.fileno()], stdout=heard, stderr=heard
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()

    def call(self, function: str | Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What the function returns in that process, an iterator as a list; or raise what it raises there."""
        self.begin(function, *args, **kwargs)
        return self.end()

    def begin(self, function: str | Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Start a call; `end` waits for it. What is passed must be importable and picklable."""
        self._connection.send_bytes(pickle.dumps((function, args, kwargs)))

    def end(self) -> Any:
        """The outcome of the call that was started."""
        assert self._connection.poll(CALL_SECONDS), f"no answer in {CALL_SECONDS} s:\n{tail(self._log)}"
        try:
            failed, value = pickle.loads(self._connection.recv_bytes())
        except EOFError:
            raise AssertionError(f"the client process has ended:\n{tail(self._log)}") from None
        if failed:
            raise value
        return value


class Called:
    """The methods of an object that has a name, called in the client's process."""

    def __init__(self, client: Client, name: str) -> None:
        self._client, self._name = client, name

    def __getattr__(self, function: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._client.call(f"{self._name}.{function}", *args, **kwargs)


def serve(descriptor: int) -> None:
    """Answer calls until the other side hangs up."""
    connection = Connection(descriptor)
    while True:
        try:
            message = connection.recv_bytes()
        except EOFError:
            return
        connection.send_bytes(_answer(message))


def _answer(message: bytes) -> bytes:
    try:
        function, args, kwargs = pickle.loads(message)
        called = pkgutil.resolve_name(function) if isinstance(function, str) else function
        value = called(*args, **kwargs)
        return pickle.dumps((False, list(value) if isinstance(value, Iterator) else value))
    except Exception as failure:
        return _carried(failure, traceback.format_exc())


def _carried(failure: Exception, told: str) -> bytes:
    """The exception with its traceback as a note, if it survives the journey; else that text alone."""
    failure.add_note(told)
    try:
        message = pickle.dumps((True, failure))
        pickle.loads(message)
    except Exception:
        return pickle.dumps((True, ClientFailed(told)))
    return message
