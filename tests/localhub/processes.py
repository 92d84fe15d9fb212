"""Ending a Hub's process from a test that has not started it itself."""

from __future__ import annotations

import os
import select
import signal

from tests.hubs import Hub


def ended_by(hub: Hub, sent: signal.Signals, seconds: float = 15) -> bool:
    """Send the signal to the Hub; whether its process has ended within that time."""
    assert hub.pid
    watched = os.pidfd_open(hub.pid)
    try:
        os.kill(hub.pid, sent)
        readable, _, _ = select.select([watched], [], [], seconds)
        return bool(readable)
    finally:
        os.close(watched)
