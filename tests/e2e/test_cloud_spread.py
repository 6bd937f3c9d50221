# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Vendors that tell when all their servers have a change: nobody looks
before, and nobody waits for a vendor that cannot say."""

import pytest

import lab
import lab_daemon
from lab_vendor import OWNER, CloudBed
from fakes import cloudns, route53


class Route53:
    module, path, settings = route53, "/change/", "insync_delay"


class Cloudns:
    module, path, settings = cloudns, "/is-updated", "spread"


@pytest.fixture(params=[Route53, Cloudns])
def vendor(request):
    return request.param


@pytest.fixture
def bed(vendor, tmp_path):
    with vendor.module.Fake(limited=False) as fake:
        bed = CloudBed(tmp_path, fake)
        bed.vendor = vendor
        yield bed


def takes(bed, seconds):
    """How long the vendor's servers need from now on."""
    bed.fake.configure({bed.vendor.settings: seconds})


def asked(bed):
    return bed.fake.calls(None, bed.vendor.path)


def looks(bed, owner=OWNER):
    return [name for _, name, kind in bed.fake.dns_server.log
            if kind == "TXT" and name.lower().rstrip(".") == owner]


def test_nobody_looks_before_the_vendor_has_spread_it(bed):
    takes(bed, 1000)
    proc = bed.placard.popen("--json", "present", *bed.one())
    lab.wait_for(lambda: len(asked(bed)) >= 2, "asked twice", gap=0.05)
    assert looks(bed) == []
    takes(bed, 0)
    done = bed.placard.finish(proc)
    assert done.status == 0, done
    assert done.report["state"] == "visible"
    assert looks(bed)
    bed.clean()


@pytest.mark.quick
def test_one_question_for_all_of_a_batch(bed):
    takes(bed, 0)
    done = bed.placard.json("present", *bed.job(*[
        lab.dns01(f"w{n}.{zone}", str(n)) for n in range(10)
        for zone in ("example.com", "example.org")]))
    assert done.status == 0, done
    # Both zones have been asked about, neither twice as it was there at once.
    assert len(asked(bed)) == 2
    bed.clean()


@pytest.mark.parametrize("fault, details", [
    ("status", {"status": 403}), ("status", {"status": 404}),
    ("status", {"status": 500}), ("html", {}), ("empty", {}),
    ("json", {"value": {"a": 1}}), ("json", {"value": "yes"}),
    ("truncated", {}), ("cut-before", {})],
    ids=lambda v: str(v) if isinstance(v, str) else "".join(
        map(str, v.values())))
def test_a_vendor_that_cannot_say_holds_back_nothing(bed, fault, details):
    takes(bed, 1000)
    bed.fake.fault(fault, count=None, path=bed.vendor.path, **details)
    done = bed.placard.json("present", *bed.one())
    assert done.status == 0 and done.report["state"] == "visible", done
    # libcurl itself repeats a GET that a reused connection did not take.
    assert len(asked(bed)) == 1 or fault == "cut-before"
    bed.fake.faults.clear()
    bed.clean()


def test_too_fast_is_asked_again(bed):
    takes(bed, 0)
    bed.fake.fault("throttle", path=bed.vendor.path)
    done = bed.placard.json("present", *bed.one())
    assert done.status == 0, done
    assert len(asked(bed)) == 2
    bed.clean()


def test_not_yet_is_not_believed_for_ever(bed):
    """Half of the time is for looking."""
    takes(bed, 1000)
    done = bed.placard.json("present", *bed.one(), "--timeout", 4)
    assert done.status == 0 and done.report["state"] == "visible", done
    bed.clean()


def test_no_wait_asks_nothing(bed):
    bed.present_ok(*bed.one())
    assert asked(bed) == []
    bed.clean()


def test_signal_while_it_waits(bed):
    takes(bed, 1000)
    proc = bed.placard.popen("--json", "run", *bed.one(), "--", "/bin/true")
    lab.wait_for(lambda: asked(bed), "asked", gap=0.05)
    proc.terminate()
    done = bed.placard.finish(proc)
    assert done.status != 0, done
    bed.clean()


def test_a_key_without_the_right_to_ask(tmp_path):
    """A policy of before placard asked: it is refused once and no more, and
    the key stays good."""
    with route53.Fake(limited=False) as fake:
        fake.keys["admin"]["actions"] = {
            "ListHostedZonesByName", "ListResourceRecordSets",
            "ChangeResourceRecordSets"}
        bed = CloudBed(tmp_path, fake)
        done = bed.placard.json("present", *bed.job(
            lab.dns01("example.com"), lab.dns01("example.org"),
            lab.dns01("example.net")))
        assert done.status == 0 and done.report["state"] == "visible", done
        assert [r.status for r in fake.calls("GET", "/change/")] == [403]
        bed.clean()


# -- the service

@pytest.fixture
def daemon(bed):
    with lab_daemon.Daemon(bed.placard) as one:
        yield one.start() if one.proc is None else one


def held(bed, daemon, name="job"):
    takes(bed, 1000)
    daemon.submit(lab.job(lab.dns01("example.com"), name=name))
    lab.wait_for(lambda: asked(bed), "asked", gap=0.05)
    assert daemon.show(name)["state"] == "published"


def test_cancelled_while_it_waits(bed, daemon):
    held(bed, daemon)
    done = daemon.placard.json("job", "cancel", "job")
    assert done.status == 0, done
    lab.wait_for(lambda: not daemon.unfinished(), "gone", gap=0.05)
    bed.unchanged()


@pytest.mark.quick
def test_killed_while_it_waits(bed, daemon):
    held(bed, daemon)
    daemon.kill()
    before = len(asked(bed))
    writes = len(bed.fake.calls("POST", "rrset/$|add-record"))
    daemon.start()
    lab.wait_for(lambda: len(asked(bed)) > before, "asked again", gap=0.05)
    takes(bed, 0)
    assert daemon.wait("job").report["state"] == "visible"
    assert len(bed.fake.calls("POST", "rrset/$|add-record")) == writes
    daemon.release("job")
    assert daemon.wait("job").report["state"] == "removed"
    bed.unchanged()


def test_reloaded_and_stopped_while_it_waits(bed, daemon):
    held(bed, daemon)
    daemon.hup()
    before = len(asked(bed))
    lab.wait_for(lambda: len(asked(bed)) > before, "asked again", gap=0.05)
    status, _ = daemon.stop()
    assert status == 0
    daemon.start()
    takes(bed, 0)
    assert daemon.wait("job").report["state"] == "visible"
    daemon.release("job")
    daemon.wait("job")
    bed.unchanged()
