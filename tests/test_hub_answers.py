"""What a Hub's answers mean, how long it is waited for, and how its quotas are kept clear of; nothing is asked here."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import httpx2
import pytest
from huggingface_hub.errors import HfHubHTTPError

from sealift.errors import AccessDenied, DestinationBusy, DestinationError
from sealift.stores.hub.answers import LONGEST, Means, means, retry_after
from sealift.stores.hub.bandwidth import Bandwidth
from sealift.stores.hub.pace import ENOUGH, HOUR, RESOLVERS, Commits, Pace, Quota
from sealift.stores.hub.place import Place
from sealift.stores.hub.refusals import harmless, refusal, translated, unsigned
from sealift.stores.hub.spool import Spool
from sealift.stores.hub.watch import Line, Stalled
from sealift.stores.hub.wire import PATIENCE, Patience, patiently

PLACE = Place("org/name", None, "http://hub.test")
URL = "http://hub.test/api/datasets/org/name"
SIGNED = "https://store.test/x?X-Amz-Signature=0123456789abcdef&X-Amz-Expires=3600"


def answered(status: int, url: str = URL, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, headers=named, request=httpx2.Request("GET", url))


class Clock:
    """A time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class TestMeaning:
    """One table, for requests that may be repeated and for those that may not."""

    @pytest.mark.parametrize(
        ("statuses", "repeatable", "changing"),
        [
            ((200, 201, 204, 206), Means.DONE, Means.DONE),
            ((429,), Means.WAIT, Means.WAIT),
            ((408, 425, 500, 502, 503, 504, 520, 522, 524, 529, 599), Means.WAIT, Means.UNCERTAIN),
            ((409, 412), Means.CONFLICT, Means.CONFLICT),
            ((302, 400, 401, 402, 403, 404, 410, 413, 416, 422, 501, 505, 507), Means.REFUSED, Means.REFUSED),
        ],
    )
    def test_of_a_status(self, statuses: tuple[int, ...], repeatable: Means, changing: Means) -> None:
        """An answer of trouble leaves open whether a commit took effect; one that too much was asked does not."""
        for status in statuses:
            answer = answered(status)
            error = HfHubHTTPError("x", response=answer)
            assert means(answer, changes=False) is means(error, changes=False) is repeatable, status
            assert means(answer, changes=True) is means(error, changes=True) is changing, status

    @pytest.mark.parametrize(
        ("error", "repeatable", "changing"),
        [
            (httpx2.ConnectError("x"), Means.WAIT, Means.WAIT),
            (httpx2.ConnectTimeout("x"), Means.WAIT, Means.WAIT),
            (httpx2.PoolTimeout("x"), Means.WAIT, Means.WAIT),
            (httpx2.ReadTimeout("x"), Means.WAIT, Means.UNCERTAIN),
            (httpx2.WriteTimeout("x"), Means.WAIT, Means.UNCERTAIN),
            (httpx2.ReadError("x"), Means.WAIT, Means.UNCERTAIN),
            (httpx2.WriteError("x"), Means.WAIT, Means.UNCERTAIN),
            (httpx2.RemoteProtocolError("x"), Means.WAIT, Means.UNCERTAIN),
            (httpx2.DecodingError("x"), Means.WAIT, Means.UNCERTAIN),
            (KeyError("commitOid"), Means.REFUSED, Means.UNCERTAIN),
            (ValueError("no JSON"), Means.REFUSED, Means.UNCERTAIN),
            (httpx2.UnsupportedProtocol("x"), Means.REFUSED, Means.REFUSED),
            (RuntimeError("x"), Means.REFUSED, Means.REFUSED),
        ],
    )
    def test_of_no_answer(self, error: Exception, repeatable: Means, changing: Means) -> None:
        """What was never sent had no effect; what was sent, and got no answer that can be read, may have had it."""
        assert means(error, changes=False) is repeatable
        assert means(error, changes=True) is changing

    @pytest.mark.parametrize("status", [400, 402, 404, 409, 410, 412, 413, 416, 422, 507])
    def test_a_refusal_says_what_to_do(self, status: int) -> None:
        """Whatever the status, and whether or not the Hub has words for it."""
        for headers in ({}, {"X-Error-Message": "no"}):
            error = HfHubHTTPError("x", response=answered(status, **headers))
            assert refusal(PLACE, error, token=True, seen=True).hint


class TestWaiting:
    """As long as the Hub asks, within bounds."""

    NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)

    def date(self, seconds: float) -> str:
        return format_datetime(datetime.fromtimestamp(self.NOW.timestamp() + seconds, UTC), usegmt=True)

    @pytest.mark.parametrize(("ahead", "seconds"), [(90, 90), (0, 1), (-3600, 1), (10**9, LONGEST)])
    def test_a_date_is_understood(self, ahead: int, seconds: float) -> None:
        """By our clock; one that is past is no time, one that is absurd a day."""
        answer = answered(503, Retry_After=self.date(ahead))
        assert retry_after(answer, self.NOW.timestamp) == seconds

    def test_a_date_counts_by_the_clock_that_it_comes_from(self) -> None:
        """A Hub whose clock is an hour behind ours still means a minute."""
        answer = answered(429, Retry_After=self.date(-3540), Date=self.date(-3600))
        assert retry_after(answer, self.NOW.timestamp) == 60

    @pytest.mark.parametrize("said", ["soon", "-5", "1e9", "nan", "٣", "Wed, 99 Oct 2026 07:28:00 GMT", ""])
    def test_what_is_neither_says_nothing(self, said: str) -> None:
        """Then the usual waits apply."""
        assert retry_after(httpx2.Response(503, headers=[(b"retry-after", said.encode())])) is None

    @pytest.mark.parametrize("asked", ["901", "9" * 400])
    def test_more_than_our_patience_is_not_waited_for(self, asked: str) -> None:
        """Not a second of it; the error says what was asked."""
        calls = []

        def attempt() -> httpx2.Response:
            calls.append(1)
            return answered(503, Retry_After=asked)

        with pytest.raises(DestinationBusy) as caught:
            patiently(PLACE, attempt)
        assert len(calls) == 1
        assert PATIENCE < caught.value.fields["retry_after_s"] <= LONGEST

    @pytest.mark.parametrize("status", [None, 500, 503])
    def test_tries_are_bounded_whatever_is_asked(self, status: int | None) -> None:
        """Trouble is met as often as there are waits, however short a time the Hub asks for; the longer one counts."""
        patience = Patience((2.0, 0.0), Clock())
        assert [patience.after(1.0, status) for _ in range(4)] == [2.0, 1.0, None, None]

    def test_a_hub_in_trouble_that_asks_for_little_is_given_up(self) -> None:
        """With the last of the waits, not after as many tries as our patience has seconds."""
        calls = []

        def attempt() -> httpx2.Response:
            calls.append(1)
            assert len(calls) < 3
            return answered(503, Retry_After="1")

        with pytest.raises(DestinationBusy):
            patiently(PLACE, attempt, (0.0,))
        assert len(calls) == 2

    def test_a_quota_is_waited_for_by_the_clock(self) -> None:
        """Time that the tries take counts, too, from the first that was turned away; the usual waits are left."""
        clock = Clock()
        patience, tries = Patience((1.0,), clock), 0
        clock.now += 10 * PATIENCE
        begun = clock.now
        while (wait := patience.after(1.0, 429)) is not None:
            assert wait == 1.0
            clock.now += wait + 9.0
            tries += 1
        assert tries == PATIENCE / 10
        assert clock.now - begun == PATIENCE
        assert patience.after(None) == 1.0

    def test_only_so_many_tries_may_stall(self) -> None:
        """A try that waits for minutes is not repeated like one that ends at once."""
        calls = []

        def attempt() -> httpx2.Response:
            calls.append(1)
            raise httpx2.WriteTimeout("", request=httpx2.Request("PUT", SIGNED, extensions={"timeout": {"write": 7}}))

        with pytest.raises(DestinationBusy, match="nothing moved for 7 s"):
            patiently(PLACE, attempt, (0.0,) * 5, stalls=2)
        assert len(calls) == 2


class TestQuota:
    """A quota that every answer tells of."""

    @pytest.mark.parametrize("processes", [1, 4, 16])
    def test_it_is_not_used_up(self, processes: int) -> None:
        """However many processes ask with one token, and as fast as they may: none is ever turned away."""
        limit, window, asked = 1_000, 300.0, 0
        left, begun, now = limit, 0.0, 0.0
        ready = [0.0] * processes
        known: list[Quota | None] = [None] * processes
        while now < 3 * window:
            who = min(range(processes), key=ready.__getitem__)
            now = ready[who]
            if now - begun >= window:
                begun, left = now, limit
            quota = known[who]
            pause = 0.0 if quota is None else quota.pause(now)
            if pause > 0:
                # It has waited by what it knew; what it asks then is asked whatever became of the quota meanwhile.
                now += pause
            if now - begun >= window:
                begun, left = now, limit
            assert left > 0
            left -= 1
            asked += 1
            known[who] = Quota(left, begun + window + 1, limit)
            ready[who] = now + 0.05
        assert asked > 2 * 0.9 * limit

    def test_it_is_used_freely_while_there_is_much(self) -> None:
        """Nothing is waited for until a tenth is left, nor once it is full again, nor for what cannot be."""
        assert Quota(101, 300.0, 1_000).pause(0.0) == 0
        assert Quota(60, 300.0, 1_000).pause(0.0) == pytest.approx(300 / 40)
        assert Quota(20, 300.0, 1_000).pause(100.0) == 200
        assert Quota(0, 300.0, 1_000).pause(301.0) == 0
        assert Quota(0, 10.0**9, 1_000).pause(0.0) == 0
        assert Quota(51, 300.0).pause(0.0) == 0

    def test_a_process_waits_by_what_it_was_told(self) -> None:
        """Each Hub and each of its quotas for itself."""
        clock = Clock()
        pace = Pace(clock, clock.sleep)
        pace.wait("http://hub.test")
        pace.note(answered(200, RateLimit='"api";r=0;t=54', RateLimit_Policy='"fixed window";"api";q=1000;w=300'))
        pace.wait("http://hub.test", RESOLVERS)
        pace.wait("http://other.test")
        assert clock.slept == []
        pace.wait("http://hub.test")
        pace.wait("http://hub.test")
        assert clock.slept == [55]

    def test_commits_are_spread_once_one_was_too_many(self) -> None:
        """Their number within an hour is learnt from many, not from a few; another repository has its own."""
        clock = Clock()
        pace = Pace(clock, clock.sleep)
        for _ in range(ENOUGH):
            pace.wait_to_commit(URL)
            pace.note_commit(URL, answered(200))
        assert clock.slept == []
        pace.note_commit(URL, answered(429))
        pace.wait_to_commit(URL)
        assert clock.slept == [HOUR / ENOUGH]
        pace.note_commit(URL, answered(200))
        clock.now += HOUR / ENOUGH
        pace.wait_to_commit(URL)
        pace.wait_to_commit(f"{URL}-2")
        assert len(clock.slept) == 1
        few = Commits().one_more(0.0).turned_away(1.0)
        assert few.pause(1.0) == 0


class TestBandwidth:
    """So many bytes a second."""

    @pytest.mark.parametrize("sizes", [[10_000_000], [1_000] * 5_000, [65_536, 7] * 60])
    def test_no_second_has_more(self, sizes: list[int]) -> None:
        """Whatever the sizes of what is sent, in each second, and hardly less; after a rest nothing is made up for."""
        rate, clock, gone = 1_000_000.0, Clock(), []
        bandwidth = Bandwidth(rate, clock, clock.sleep)
        for turn in range(2):
            begun = clock.now
            sent = 0
            for piece in bandwidth.paced(bytes(size) for size in sizes):
                gone.append((clock.now, len(piece)))
                sent += len(piece)
            assert sent == sum(sizes)
            assert sum(sizes) / rate - 0.2 <= clock.now - begun <= sum(sizes) / rate
            clock.now += 100 * (turn + 1)
        for at in {int(moment) for moment, _ in gone}:
            assert sum(size for moment, size in gone if at <= moment < at + 1) <= rate * 1.2

    def test_the_bytes_are_the_same(self) -> None:
        """In pieces of another size."""
        clock = Clock()
        assert b"".join(Bandwidth(50_000, clock, clock.sleep).paced([b"ab" * 9_999, b"", b"c"])) == b"ab" * 9_999 + b"c"


class TestWatching:
    """A call that cannot be interrupted."""

    @pytest.mark.parametrize("steps", [3, 12])
    def test_a_slow_one_that_moves_is_waited_for(self, steps: int) -> None:
        """However long it takes in all."""
        moved = [0]

        def slow() -> int:
            for _ in range(steps):
                time.sleep(0.05)
                moved[0] += 1
            return moved[0]

        line = Line("test")
        assert line.begin(slow).result(0.2, lambda: moved[0]) == steps
        line.close()

    def test_one_that_stands_still_is_given_up(self) -> None:
        """And never keeps the process: its thread is none that is waited for. The calls' own errors come out."""
        line = Line("test")

        def failing() -> None:
            raise TimeoutError("of the library")

        with pytest.raises(TimeoutError, match="of the library"):
            line.begin(failing).result(5, lambda: None)
        with pytest.raises(Stalled, match="for 0"):
            line.begin(time.sleep, 1).result(0.1, lambda: "the same")
        assert line._thread is not None and line._thread.daemon
        line.close()


class TestSecrets:
    """Addresses are said without what makes them keys."""

    @pytest.mark.parametrize(
        ("text", "left"),
        [
            (f"403 for url '{SIGNED}'", "403 for url 'https://store.test/x'"),
            ("error (https://user:pass@hub.test/x?sig=abc): 403", "error (https://hub.test/x): 403"),
            ("GET /cas/x?expires=1&signature=ab failed", "GET /cas/x failed"),
            ("is it there? yes=1", "is it there? yes=1"),
        ],
    )
    def test_a_query_and_a_login_are_cut(self, text: str, left: str) -> None:
        """And nothing else."""
        assert unsigned(text) == left

    @pytest.mark.parametrize(
        "failing",
        [
            lambda: HfHubHTTPError(f"403 for {SIGNED}", response=answered(403, SIGNED)),
            lambda: HfHubHTTPError(f"400 for {SIGNED}", response=answered(400, SIGNED), server_message=f"not {SIGNED}"),
            lambda: httpx2.ReadError(f"broken: {SIGNED}"),
            lambda: httpx2.UnsupportedProtocol(f"no {SIGNED}"),
            lambda: ValueError(f"no JSON from {SIGNED}"),
        ],
    )
    def test_no_traceback_has_one(self, failing: Callable[[], Exception]) -> None:
        """Neither our error, nor what it comes of, nor what that comes of."""
        with pytest.raises((DestinationError, AccessDenied)) as caught, translated(PLACE, token=True):
            try:
                raise httpx2.HTTPError(f"first {SIGNED}")
            except httpx2.HTTPError as first:
                raise failing() from first
        shown = "".join(traceback.format_exception(caught.value))
        assert "Signature" not in shown and "0123456789abcdef" not in shown and "store.test/x" in shown

    def test_an_error_may_come_of_itself(self) -> None:
        """Its chain is walked once."""
        error = ValueError(SIGNED)
        error.__context__ = error
        assert str(harmless(error)) == "https://store.test/x"


def test_what_waits_on_disk_is_private(tmp_path: Path) -> None:
    """The folder and the file are their owner's alone, whatever the umask says."""
    before = os.umask(0)
    try:
        with Spool(tmp_path / "new" / "staged", 0, 100) as spool:
            spool.write(b"x")
            assert spool.file is not None
            modes = [Path(spool.file.name).stat().st_mode & 0o777, (tmp_path / "new" / "staged").stat().st_mode & 0o777]
    finally:
        os.umask(before)
    assert modes == [0o600, 0o700]
