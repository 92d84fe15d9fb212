"""Uploads to a Hub that stalls, forgets, limits or takes its tokens back: each ends by itself, and says what it met."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.hub_stores import Repository, Written, writing
from tests.hubs import Hub

from sealift.errors import AccessDenied, ContentMissing, DestinationBusy, DestinationError, IntegrityError
from sealift.ports import Staged
from sealift.stores.hub import HubStage
from sealift.stores.hub.lfs import Blob, missing, unreadable

MIB = 1 << 20
STALL = 0.4
SENDING = ("cas-xorb-put", "lfs-put")
READING = ("cas-reconstruction", "lfs-get")

pytestmark = pytest.mark.usefixtures("own_xet_cache")


@pytest.fixture
def repository(either_hub: Hub) -> Repository:
    return Repository(either_hub)


@pytest.fixture
def by_xet(xet_hub: Hub) -> Iterator[Repository]:
    yield Repository(xet_hub)
    xet_hub.faults([])


def each(kinds: tuple[str, ...], **fault: Any) -> list[dict[str, Any]]:
    return [{"kind": kind, "times": None, **fault} for kind in kinds]


def impatient(stager: HubStage, waits: tuple[float, ...] = (0.0,)) -> HubStage:
    return replace(stager, client=replace(stager.client, stall=STALL, waits=waits))


def blob(staged: Staged) -> Blob:
    return Blob(staged.path, staged.sha256 or "", staged.size)


def read(stager: HubStage, staged: Staged, offset: int = 500) -> bytes:
    view = bytearray(100)
    stager.read_back(staged, offset, memoryview(view))
    return bytes(view)


class TestStalling:
    """No byte moves, and the connection stays."""

    @pytest.mark.parametrize("fault", [{"delay": 20.0}, {"stall_request": 0.5}])
    @pytest.mark.parametrize("staging", [0, 8 * MIB])
    def test_an_upload_is_given_up(self, repository: Repository, fault: dict[str, Any], staging: int) -> None:
        """It says for how long nothing moved; the same file goes through as soon as the Hub does."""
        with repository.prepared(staging=staging) as destination:
            stager = impatient(destination.stager)
            written = Written(MIB, destination.work)
            repository.hub.faults(each(SENDING, **fault))
            with pytest.raises(DestinationBusy, match=f"moved .*for {STALL:g} s"):
                stager.stage("data/x", written)
            repository.hub.faults([])
            destination.commit({"data/x": stager.stage("data/x", written)}, [], "x")
        assert repository.contents() == {"data/x": written.data}

    def test_held_files_are_given_up(self, repository: Repository) -> None:
        """Those, too, that are uploaded just before the commit."""
        table = Staged("x.parquet", 3, "", data=b"abc")
        with repository.prepared() as destination:
            staged = destination.stager.stage("x.parquet", writing(random.randbytes(9_000)), hold=True)
            assert staged.data is not None and table.data
            repository.hub.faults(each(SENDING, delay=20.0))
            with pytest.raises(DestinationBusy, match=f"moved .*for {STALL:g} s"):
                impatient(destination.stager).send_held([staged])

    def test_reading_back_is_given_up(self, repository: Repository) -> None:
        """It is not taken for content that is not there."""
        with repository.prepared() as destination:
            stager = impatient(destination.stager)
            written = Written(MIB, destination.work)
            staged = stager.stage("data/x", written)
            repository.hub.faults([{"kind": kind, "delay": 20.0, "times": 1} for kind in READING])
            if stager.xet:
                with pytest.raises(DestinationBusy, match=f"moved .*for {STALL:g} s"):
                    read(stager, staged)
            repository.hub.faults([])
            assert read(stager, staged) == written.data[500:600]

    @pytest.mark.long
    def test_a_slow_line_is_none(self, repository: Repository) -> None:
        """Bytes that trickle are waited for, however long: what lies in the sockets' buffers moves unseen."""
        stall, rate = 8.0, 2_000_000
        with repository.prepared(staging=0) as destination:
            stager = replace(destination.stager, client=replace(destination.stager.client, stall=stall))
            repository.hub.faults(each(SENDING, slow_request=rate))
            written = Written(24 * MIB, destination.work)
            began = time.monotonic()
            staged = stager.stage("data/x", written)
            assert time.monotonic() - began > stall
            assert read(stager, staged) == written.data[500:600]


class TestForgetting:
    """Content that was there, or that the Hub believes to be there."""

    def test_what_is_gone_is_told_from_what_differs(self, repository: Repository) -> None:
        """Nothing there: to be sent again, and which it is. Not as long: bytes disagree."""
        with repository.prepared(staging=0) as destination:
            stager = impatient(destination.stager)
            staged = [stager.stage(f"data/{n}", Written(MIB, destination.work)) for n in range(2)]
            # A Hub may take the size for part of the name.
            with pytest.raises((IntegrityError, ContentMissing)):
                read(stager, replace(staged[0], size=MIB + 100), MIB)
            destination.commit({"data/0": staged[0]}, [], "one of them")
            repository.hub.collect()
            assert read(stager, staged[0])
            with pytest.raises(ContentMissing) as caught:
                read(stager, staged[1])
            assert caught.value.fields["paths"] == ["data/1"]

    def test_what_is_missing_is_asked_for(self, repository: Repository) -> None:
        """In one request for 256; of what the Hub says that it has, every byte could be had."""
        with repository.prepared(staging=0) as destination:
            client = destination.stager.client
            staged = [destination.stager.stage(f"data/{n}", Written(9_000, destination.work)) for n in range(3)]
            blobs = [blob(one) for one in staged]
            before = repository.asked("lfs-batch")
            assert missing(client, blobs) == []
            assert unreadable(client, blobs) == []
            assert repository.asked("lfs-batch") - before == 2
            destination.commit({"data/1": staged[1]}, [], "one of them")
            repository.hub.collect()
            assert missing(client, blobs) == [blobs[0], blobs[2]]

    def test_a_hub_that_believes_to_have_it_is_found_out(self, repository: Repository) -> None:
        """It says yes to whoever asks, and gives no byte."""
        with repository.prepared(staging=0) as destination:
            client = destination.stager.client
            staged = [destination.stager.stage(f"data/{n}", Written(9_000, destination.work)) for n in range(2)]
            blobs = [blob(one) for one in staged]
            destination.commit({"data/1": staged[1]}, [], "one of them")
            repository.hub.collect(remembers=True)
            assert missing(client, blobs) == []
            assert unreadable(client, blobs) == [blobs[0]]

    @pytest.mark.parametrize("staging", [0, 8 * MIB])
    @pytest.mark.parametrize("remembers", [False, True])
    def test_afresh_every_byte_is_sent(self, by_xet: Repository, staging: int, remembers: bool) -> None:
        """Whatever this machine's cache and the store remember: what had gone is there again."""
        with by_xet.prepared(staging=staging) as destination:
            written = Written(3 * MIB, destination.work)
            lost = destination.stager.stage("data/x", written)
            by_xet.hub.collect(remembers=remembers)
            with pytest.raises(ContentMissing):
                read(destination.stager, lost)
            before = by_xet.hub.counts()["bytes_in"]
            stager = replace(destination.stager, afresh=True)
            staged = stager.stage("data/x", written)
            assert by_xet.hub.counts()["bytes_in"] - before > written.size
            assert read(stager, staged) == written.data[500:600]
            destination.commit({"data/x": staged}, [], "again")
        assert by_xet.contents() == {"data/x": written.data}

    def test_held_files_are_sent_afresh(self, by_xet: Repository) -> None:
        """Tables that are uploaded just before the commit."""
        data = random.randbytes(300_000)
        with by_xet.prepared() as destination:
            staged = destination.stager.stage("x.parquet", writing(data), hold=True)
            destination.stager.send_held([staged])
            by_xet.hub.collect()
            replace(destination.stager, afresh=True).send_held([staged])
            assert missing(destination.stager.client, [blob(staged)]) == []
            assert unreadable(destination.stager.client, [blob(staged)]) == []

    def test_where_xet_takes_nothing_afresh_lfs_does(self, by_xet: Repository) -> None:
        """A store that says it took a block, and has none: the file goes another way."""
        claimed = {"kind": "cas-xorb-put", "status": 200, "body": {"was_inserted": True}, "times": None}
        with by_xet.prepared(staging=0) as destination:
            stager = replace(impatient(destination.stager), afresh=True)
            by_xet.hub.faults([claimed])
            written = Written(MIB, destination.work)
            staged = stager.stage("data/x", written)
            assert staged.xet_hash is None
            assert read(stager, staged) == written.data[500:600]
            destination.commit({"data/x": staged}, [], "x")
        by_xet.hub.faults([])
        assert by_xet.contents() == {"data/x": written.data}


class TestTokens:
    """They end while a run is at work, and are never said."""

    def test_one_for_the_store_is_renewed(self, by_xet: Repository) -> None:
        """Each that the Hub gives ends at once: the upload goes on with others."""
        by_xet.hub.faults([{"kind": "xet-token", "token_seconds": 2, "times": None}])
        with by_xet.prepared(staging=0) as destination:
            slow = Written(3 * MIB, destination.work)

            def write(sink: Any) -> None:
                slow(sink)
                time.sleep(2.5)

            before = by_xet.asked("xet-token")
            staged = destination.stager.stage("data/x", write)
            assert by_xet.asked("xet-token") - before > 1
            destination.commit({"data/x": staged}, [], "x")
        by_xet.hub.faults([])
        assert by_xet.contents() == {"data/x": slow.data}

    def test_one_that_ended_is_said(self, repository: Repository) -> None:
        """After hours, at whatever call: no access, and what to do."""
        with repository.prepared() as destination:
            for kind, call in (
                ("lfs-batch", lambda: missing(destination.stager.client, [Blob("x", "ab" * 32, 5)])),
                ("preupload", lambda: destination.stager.client.upload_modes([("x", b"", 0)])),
            ):
                repository.hub.faults([{"kind": kind, "expired": True, "times": None}])
                with pytest.raises(AccessDenied, match="does not take the token") as caught:
                    call()
                assert "log in again" in caught.value.hint

    @pytest.mark.parametrize("status", [400, 403, 404])
    def test_signed_addresses_are_not_said(self, repository: Repository, status: int) -> None:
        """Whatever the store refuses, to send or to read: not in the message, nor in what it comes of."""
        with repository.prepared(staging=8 * MIB) as destination:
            stager = impatient(destination.stager, waits=())
            staged = stager.stage("data/x", Written(9_000, destination.work))
            repository.hub.faults(each((*SENDING, "lfs-get", "cas-xorb-get"), status=status))
            with pytest.raises(DestinationError) as sending:
                stager.stage("data/y", Written(9_000, destination.work))
            with pytest.raises(DestinationError) as reading:
                read(stager, staged)
        for caught in (sending, reading):
            shown = "".join(traceback.format_exception(caught.value)) + str(caught.value.fields)
            assert "signature=" not in shown.lower() and "expires=" not in shown.lower()
            assert repository.hub.token not in shown


class TestLimits:
    """What the Hub or the user allows."""

    def test_the_last_of_a_quota_is_waited_for(self, by_xet: Repository) -> None:
        """When the Hub says with an answer that nothing is left, the next call comes after the reset."""
        nothing = {"RateLimit": '"api";r=0;t=0', "RateLimit-Policy": '"fixed window";"api";q=1000;w=300'}
        with by_xet.prepared() as destination:
            client = destination.stager.client
            by_xet.hub.faults([{"kind": "whoami", "status": 200, "body": {"name": "x"}, "headers": nothing}])
            client.whoami()
            began = time.monotonic()
            client.head()
            assert time.monotonic() - began > 0.9

    def test_bytes_go_at_the_bandwidth(self, repository: Repository, tmp_path: Path) -> None:
        """Small files together like a large one: never in less time than that."""
        with repository.prepared(staging=0) as destination:
            stager = replace(destination.stager, bandwidth=4_000_000.0)
            began = time.monotonic()
            stager.stage("data/x", Written(MIB, tmp_path))
            for n in range(5):
                stager.stage(f"data/{n}", Written(200_000, tmp_path))
            # What comes first need not wait, and a slice may be the first.
            assert time.monotonic() - began > (MIB + 5 * 200_000 - MIB) / 4_000_000
