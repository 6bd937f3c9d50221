# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Stopped in the middle: `run` leaves nothing, the rest is remembered."""

import os
import signal

import pytest

import lab

STOPS = [signal.SIGTERM, signal.SIGINT]


def stop(placard, proc, sig):
    """Send sig to the command alone and wait for its end."""
    workers = [pid for pid in lab.descendants(proc.pid) if pid != proc.pid]
    proc.send_signal(sig)
    done = placard.finish(proc, timeout=30)
    assert done.status != 0, done
    lab.wait_for(lambda: not [p for p in workers if lab.alive(p)],
                 "no worker stays", gap=0.1)
    return done


@pytest.mark.quick
@pytest.mark.parametrize("sig", STOPS)
def test_while_the_command_of_run_runs(bed, sig, tmp_path):
    mark = tmp_path / "pid"
    proc = bed.placard.popen("run", *bed.dns01(), "--", "/bin/sh", "-c",
                             f"echo $$ > {mark}.new; mv {mark}.new {mark}; "
                             "exec sleep 300")
    lab.wait_for(mark.exists, "the command runs")
    assert bed.texts() == [lab.value()]
    stop(bed.placard, proc, sig)
    bed.unchanged()
    assert bed.placard.quiet_journal()
    lab.wait_for(lambda: not lab.alive(int(mark.read_text())),
                 "the command is gone", gap=0.1)


@pytest.mark.quick
@pytest.mark.parametrize("sig", STOPS)
def test_run_while_it_waits_to_be_seen(bed, sig):
    bed.secondary.pause()
    try:
        proc = bed.placard.popen("run", *bed.dns01(), "--timeout", "100",
                                 "--", "/bin/true")
        lab.wait_for(bed.texts, "published")
        stop(bed.placard, proc, sig)
    finally:
        bed.secondary.resume()
    bed.unchanged()
    assert bed.placard.quiet_journal()


@pytest.mark.parametrize("sig", STOPS)
def test_present_while_it_waits_to_be_seen(bed, sig):
    bed.secondary.pause()
    try:
        proc = bed.placard.popen("present", *bed.dns01(), "--timeout", "100")
        lab.wait_for(bed.texts, "published")
        stop(bed.placard, proc, sig)
    finally:
        bed.secondary.resume()
    if bed.texts():
        assert len(bed.placard.listed()) == 1
    bed.placard.ok("cleanup", "--all")
    bed.unchanged()


@pytest.mark.parametrize("sig", STOPS)
def test_while_the_server_does_not_answer(tmp_path, sig):
    with lab.Liar(["liar.test"], update_lie="silence") as liar:
        placard = lab.Placard(tmp_path)
        placard.rfc2136("lab", liar).route("liar.test", "lab")
        proc = placard.popen("present", "-m", "dns-01", "-d", "liar.test",
                             "--value", lab.value(), "--timeout", "100")
        lab.wait_for(lambda: liar.updates, "the UPDATE is out")
        stop(placard, proc, sig)
        # It may have been done: that is remembered.
        assert len(placard.listed()) == 1
        liar.update_lie = None
        liar.put("_acme-challenge.liar.test", 60, "TXT",
                 f'"{lab.value()}"')
        placard.ok("cleanup", "--all")
        assert liar.texts("_acme-challenge.liar.test") == []


@pytest.mark.big
@pytest.mark.parametrize("word", ["run", "present"])
def test_in_the_middle_of_many(bed, word):
    job = bed.placard.job_file(lab.job(*(
        lab.dns01(f"h{i}.{bed.zone}", str(i)) for i in range(4000))))
    before = bed.primary.updates()
    more = ["--", "/bin/true"] if word == "run" else []
    proc = bed.placard.popen(word, "--jobs", job, *more)
    lab.wait_for(lambda: bed.primary.updates() > before, "one UPDATE is in",
                 gap=0.001)
    proc.send_signal(signal.SIGTERM)
    done = bed.placard.finish(proc)
    if word == "run":
        assert done.status != 0, done
        bed.unchanged()
    if word == "present":
        there = bed.dump().count("_acme-challenge.h")
        assert len(bed.placard.listed()) >= there
        bed.placard.ok("cleanup", "--all")
    bed.unchanged()
    assert bed.placard.quiet_journal()


def test_hang_up(bed):
    bed.secondary.pause()
    try:
        proc = bed.placard.popen("run", *bed.dns01(), "--timeout", "100",
                                 "--", "/bin/true")
        lab.wait_for(bed.texts, "published")
        proc.send_signal(signal.SIGHUP)
        done = bed.placard.finish(proc, timeout=30)
    finally:
        bed.secondary.resume()
    assert done.status != 0
    bed.placard.ok("cleanup", "--all")
    bed.unchanged()


def test_killed_and_cleaned_up_later(bed):
    """kill -9 of everything at once, as a machine does it."""
    bed.secondary.pause()
    try:
        proc = bed.placard.popen("run", *bed.dns01(), "--timeout", "100",
                                 "--", "/bin/true")
        lab.wait_for(bed.texts, "published")
        lab.kill_tree(proc.pid)
        bed.placard.finish(proc)
    finally:
        bed.secondary.resume()
    assert bed.texts() == [lab.value()]
    assert len(bed.placard.listed()) == 1
    bed.placard.ok("cleanup", "--all")
    bed.unchanged()
    assert bed.placard.quiet_journal()


def test_engine_killed_workers_end(bed):
    bed.secondary.pause()
    try:
        proc = bed.placard.popen("present", *bed.dns01(), "--timeout", "100")
        lab.wait_for(bed.texts, "published")
        workers = lab.workers_of(proc.pid)
        os.kill(proc.pid, signal.SIGKILL)
        bed.placard.finish(proc)
        lab.wait_for(lambda: not [p for p in workers if lab.alive(p)],
                     "the workers end by themselves", gap=0.1)
    finally:
        bed.secondary.resume()
    assert workers
    bed.placard.ok("cleanup", "--all")
    bed.unchanged()
