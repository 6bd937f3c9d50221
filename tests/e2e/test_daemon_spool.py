# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The spool of placardd: files in, reports beside them, nothing lost."""

import json
import os
import time

import pytest

import lab
from lab_daemon import Daemon
from lab_net import wait_for


@pytest.fixture
def daemon(bed):
    one = Daemon(bed.placard)
    one.bed = bed
    yield one
    one.kill()


def job_of(bed, name, **more):
    return lab.job(lab.dns01(bed.zone, name), name=name, **more)


def states(daemon, name):
    return [one["state"] for one in daemon.report(name)]


def test_renamed_into_place(daemon):
    daemon.start()
    daemon.drop("a.json", job_of(daemon.bed, "a"))
    wait_for(lambda: states(daemon, "a.json") == ["visible"], "visible")
    assert not os.path.exists(daemon.incoming("a.json"))
    assert daemon.jobs()["a"]["uid"] == os.getuid()
    daemon.release("a")
    wait_for(lambda: states(daemon, "a.json") == ["removed"], "removed")
    daemon.bed.unchanged()


@pytest.mark.quick
def test_several_jobs_in_a_file(daemon):
    daemon.start()
    daemon.drop("many.json", *(job_of(daemon.bed, f"m{i}",
                                      hold="until-visible")
                               for i in range(4)))
    wait_for(lambda: states(daemon, "many.json") == ["removed"] * 4,
             "removed")
    daemon.bed.unchanged()


def test_without_a_name_of_its_own(daemon):
    daemon.start()
    daemon.drop("n.json", {"hold": "until-visible",
                           "challenges": [lab.dns01(daemon.bed.zone, "n")]})
    wait_for(lambda: states(daemon, "n.json") == ["removed"], "removed")
    daemon.bed.unchanged()


def test_written_while_the_service_is_down(daemon):
    daemon.drop("down.json", job_of(daemon.bed, "down",
                                    hold="until-visible"))
    daemon.start()
    wait_for(lambda: states(daemon, "down.json") == ["removed"], "removed")
    daemon.bed.unchanged()


def test_half_written(daemon):
    """Written in place, slowly: it is taken when it is whole."""
    daemon.start()
    text = json.dumps(job_of(daemon.bed, "half", hold="until-visible"))
    with open(daemon.incoming("half.json"), "w",
              encoding="utf-8") as out:
        for i in range(0, len(text), len(text) // 5 + 1):
            out.write(text[i:i + len(text) // 5 + 1])
            out.flush()
            time.sleep(0.3)
    wait_for(lambda: states(daemon, "half.json") == ["removed"], "removed")
    assert not os.path.exists(daemon.rejected("half.json"))
    daemon.bed.unchanged()


def test_never_finished(daemon):
    daemon.start()
    with open(daemon.incoming("cut.json"), "w", encoding="utf-8") as out:
        out.write('{"job": "cut", "challenges": [')
    wait_for(lambda: os.path.exists(daemon.rejected("cut.json.reason")),
             "rejected")
    assert os.path.exists(daemon.rejected("cut.json"))
    assert not os.path.exists(daemon.incoming("cut.json"))


def test_names_in_the_making_are_left_alone(daemon):
    daemon.start()
    for name in (".hidden.json", "x.json.tmp", "x.json.part", "x~"):
        with open(daemon.incoming(name), "w", encoding="utf-8") as out:
            out.write("{")
    daemon.drop("ok.json", job_of(daemon.bed, "ok", hold="until-visible"))
    wait_for(lambda: states(daemon, "ok.json") == ["removed"], "removed")
    assert os.listdir(daemon.rejected()) == []


def make_bad(daemon, name):
    path = daemon.incoming(name)
    if name == "folder":
        os.mkdir(path)
    elif name == "fifo":
        os.mkfifo(path)
    elif name == "link":
        os.symlink("/etc/hostname", path)
    elif name == "huge":
        with open(path, "wb") as out:
            out.truncate((16 << 20) + 1)
    else:
        bad = {"empty": "", "garbage": "\0\1\2", "list": "[]",
               "unknown": '{"job":"u","endpoint":"x","challenges":[]}',
               "expired": json.dumps(job_of(
                   daemon.bed, "e", deadline="2020-01-01T00:00:00Z")),
               "forbidden": json.dumps(lab.job(
                   {"method": "http-file", "domain": daemon.bed.zone,
                    "path": "/etc/passwd", "content": "x"}, name="f"))}
        with open(path, "w", encoding="utf-8") as out:
            out.write(bad[name])
    if name not in ("folder", "fifo", "link"):
        os.utime(path, (time.time() - 60, time.time() - 60))


@pytest.mark.quick
@pytest.mark.parametrize("name", [
    "folder", "fifo", "link", "huge", "empty", "garbage", "list", "unknown",
    "expired", "forbidden"])
def test_moved_aside_with_a_reason(daemon, name):
    os.makedirs(daemon.incoming(), exist_ok=True)
    make_bad(daemon, name)
    daemon.start()
    wait_for(lambda: os.path.exists(daemon.rejected(name + ".reason")),
             "rejected")
    with open(daemon.rejected(name + ".reason"), encoding="utf-8") as text:
        reason = text.read()
    assert reason.startswith(name) or "job" in reason, reason
    assert os.path.lexists(daemon.rejected(name))
    assert not os.path.lexists(daemon.incoming(name))
    assert daemon.jobs() == {}


@pytest.mark.quick
def test_one_bad_job_of_a_file_is_all_of_it(daemon):
    daemon.start()
    daemon.submit(job_of(daemon.bed, "taken"))
    daemon.drop("both.json", job_of(daemon.bed, "good"),
                job_of(daemon.bed, "taken", hold=5))
    wait_for(lambda: os.path.exists(daemon.rejected("both.json.reason")),
             "rejected")
    assert set(daemon.jobs()) == {"taken"}
    daemon.wait("taken")
    daemon.release("taken")
    assert daemon.wait("taken").report["state"] == "removed"
    daemon.bed.unchanged()


@pytest.mark.big
def test_a_thousand_at_once(daemon):
    bed = daemon.bed
    os.makedirs(daemon.incoming(), exist_ok=True)
    for i in range(1000):
        name = f"t{i:04d}"
        path = bed.placard.job_file(
            lab.job(lab.dns01(f"h{i}.{bed.zone}", name), name=name,
                    hold="until-visible"), name="one.json")
        os.rename(path, daemon.incoming(name + ".json"))
    daemon.start()
    daemon.kill_engine()        # somewhere in the middle of taking them
    daemon.start()
    wait_for(lambda: not daemon.unfinished() and not [
        n for n in os.listdir(daemon.incoming()) if n.endswith(".json")],
        "all done", seconds=120, gap=0.5)
    assert len(daemon.jobs()) == 1000
    for i in range(1000):
        assert states(daemon, f"t{i:04d}.json") == ["removed"]
    bed.unchanged()
    assert bed.placard.quiet_journal()


@pytest.mark.crash
def test_killed_between_journal_and_file(daemon):
    """The file is still there, and its job is in the journal: one job."""
    bed = daemon.bed
    daemon.start()
    daemon.drop("k.json", job_of(bed, "k"))
    wait_for(lambda: states(daemon, "k.json") == ["visible"], "visible")
    daemon.kill()
    daemon.drop("k.json", job_of(bed, "k"))
    daemon.start()
    wait_for(lambda: not os.path.exists(daemon.incoming("k.json")), "taken")
    assert len(daemon.jobs()) == 1
    assert not os.path.exists(daemon.rejected("k.json"))
    daemon.release("k")
    assert daemon.wait("k").report["state"] == "removed"
    bed.unchanged()
