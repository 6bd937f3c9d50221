# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""kill -9 at every journal write and at every provider send.

After each of them `placard cleanup --all` leaves the zone byte for byte as it
was, strangers' values included.  Without --soak a few points of each kind of
system call are tried, with it all of them.
"""

import os
import shutil

import pytest

import lab
from lab_crash import JOURNAL, PLACE, SEND, Strace, points

pytestmark = pytest.mark.crash


def scene(bed):
    """Strangers around us, one of them with a value of ours."""
    bed.seed("stranger", lab.value("theirs"))
    return bed.placard.job_file(lab.job(
        lab.dns01(bed.zone, "a"), lab.dns01("*." + bed.zone, "b"),
        lab.dns01(bed.zone, "theirs"), lab.dns01("www." + bed.zone, "c")))


def clean(bed, where):
    """Everything of ours goes, and nothing else."""
    done = bed.placard.run("cleanup", "--all")
    assert done.status == 0, (where, done)
    try:
        bed.unchanged()
    except AssertionError as error:
        raise AssertionError(f"{where}: {error}") from None
    assert bed.placard.quiet_journal(), where


def disturb(bed, setup, args, calls, how, soak, kept=False):
    """Try each point; returns how many of them hit something.

    Two runs are not alike to the last call, so a point near the end may find
    nobody any more; most must find somebody.  The journal's log is a new one
    each time, or one that was kept.
    """
    def prepare():
        if kept:
            bed.placard.fold_log()
        setup()
        if not kept:
            bed.placard.fold_log()

    prepare()
    tried = hits = 0
    most = Strace(bed.placard, args).count(calls)
    clean(bed, "undisturbed")
    assert most, f"none of {calls} is ever called: nothing is tested"
    for call, count in sorted(most.items()):
        for number in points(count, soak):
            prepare()
            hits += getattr(Strace(bed.placard, args), how)(call, number)
            clean(bed, f"{how} at {call} {number} of {count}")
            tried += 1
    assert hits >= 0.5 * tried, f"{hits} of {tried} points hit"
    print(f"{how}: {hits} of {tried} points: {most}")
    return hits


@pytest.mark.parametrize("how", ["kill", "cut_power"])
@pytest.mark.parametrize("calls", [JOURNAL, SEND], ids=["journal", "send"])
def test_present(bed, soak, calls, how):
    job = scene(bed)
    hits = disturb(bed, lambda: None, ["present", "--jobs", job,
                                        "--no-wait"], calls, how, soak)
    assert hits >= 3


@pytest.mark.parametrize("how", ["kill", "cut_power"])
@pytest.mark.parametrize("calls", [JOURNAL, SEND], ids=["journal", "send"])
def test_cleanup(bed, soak, calls, how):
    job = scene(bed)

    def setup():
        bed.placard.ok("present", "--jobs", job, "--no-wait")
    hits = disturb(bed, setup, ["cleanup", "--jobs", job], calls, how, soak)
    assert hits >= 3


def test_kept_log(bed, soak):
    """The log has somebody else's commits in it already."""
    job = scene(bed)

    def setup():
        bed.placard.ok("present", *bed.dns01("before"), "--no-wait")
        bed.placard.ok("cleanup", "--all")
    hits = disturb(bed, setup, ["present", "--jobs", job, "--no-wait"],
                    JOURNAL, "cut_power", soak, kept=True)
    assert hits >= 3


@pytest.mark.parametrize("how", ["kill", "cut_power"])
def test_run(bed, soak, how):
    job = scene(bed)
    hits = disturb(bed, lambda: None,
                    ["run", "--jobs", job, "--", "/bin/true"],
                    JOURNAL + SEND, how, soak)
    assert hits >= 6


def test_first_start(bed, soak):
    """The journal itself comes into being under the axe."""
    def setup():
        shutil.rmtree(bed.placard.state)
        os.mkdir(bed.placard.state, 0o700)
    job = scene(bed)
    hits = disturb(bed, setup, ["present", "--jobs", job, "--no-wait"],
                    JOURNAL, "kill", soak)
    assert hits >= 3


def test_on_knotd(knot_bed, soak):
    job = scene(knot_bed)
    hits = disturb(knot_bed, lambda: None,
                    ["present", "--jobs", job, "--no-wait"], SEND,
                    "cut_power", soak)
    assert hits >= 2


@pytest.mark.big
@pytest.mark.parametrize("word", ["present", "cleanup"])
def test_slices(bed, soak, word):
    """The journal is ahead of the worker, and behind it, but never late."""
    job = bed.placard.job_file(lab.job(*(
        lab.dns01(f"h{i}.{bed.zone}", str(i)) for i in range(4500))))
    args = ["present", "--jobs", job, "--no-wait"]

    def setup():
        if word == "cleanup":
            bed.placard.ok(*args)
    hits = disturb(bed, setup, args if word == "present" else
                   ["cleanup", "--jobs", job],
                   ["fdatasync"] + (["sendmsg"] if soak else []), "kill",
                   soak)
    assert hits >= 3


def test_a_killed_command_is_recovered_by_any_other(bed):
    """The next command that comes by must work on the torn journal."""
    job = scene(bed)
    args = ["present", "--jobs", job, "--no-wait"]
    most = Strace(bed.placard, args).count(["fdatasync"])
    clean(bed, "undisturbed")
    for number in range(1, most["fdatasync"] + 1):
        Strace(bed.placard, args).kill("fdatasync", number)
        done = bed.placard.json("present", "--jobs", job)
        assert done.status == 0, done
        assert sorted(bed.texts()) == sorted(
            ["stranger"] + [lab.value(s) for s in ("a", "b", "theirs")])
        clean(bed, f"fdatasync {number}")


@pytest.mark.parametrize("how", ["kill", "cut_power"])
@pytest.mark.parametrize("word", ["present", "cleanup"])
def test_files(tmp_path, soak, word, how):
    root = tmp_path / "root"
    folder = root / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True)
    (folder / "stranger").write_text("stays")
    (folder / "theirs-0123456789abcdef").write_text(
        "theirs-0123456789abcdef.x")
    before = lab.tree(root)
    placard = lab.Placard(tmp_path / "p")
    placard.account("web", "file", root=str(root))
    placard.route("example.test", "web")
    job = placard.job_file(lab.job(*(
        {"method": "http-01", "domain": "www.example.test", "token": token,
         "key-authorization": text} for token, text in (
             ("token-1-0123456789abcdef",
              "token-1-0123456789abcdef.x"),
             ("token-2-0123456789abcdef",
              "token-2-0123456789abcdef.x"),
             ("theirs-0123456789abcdef",
              "theirs-0123456789abcdef.x")))))
    present = ["present", "--jobs", job, "--no-wait"]
    args = present if word == "present" else ["cleanup", "--jobs", job]

    def setup():
        if word == "cleanup":
            placard.ok(*present)

    def cleaned(where):
        done = placard.run("cleanup", "--all")
        assert done.status == 0, (where, done)
        assert lab.tree(root) == before, where
        assert placard.quiet_journal(), where
    setup()
    most = Strace(placard, args).count(PLACE)
    cleaned("undisturbed")
    assert most
    tried = hits = 0
    for call, count in sorted(most.items()):
        for number in points(count, soak):
            setup()
            hits += getattr(Strace(placard, args), how)(call, number)
            tried += 1
            cleaned(f"{how} at {call} {number} of {count}")
    assert hits >= 0.5 * tried, f"{hits} of {tried} points hit"
    print(f"{how}: {hits} of {tried} points: {most}")
