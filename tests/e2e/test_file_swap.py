# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Document roots of other people: who swaps directories, who owns them."""

import ctypes
import grp
import multiprocessing
import os
import pwd
import stat
import time

import pytest

import lab
from test_file import ACME, AUTH, URL

RENAME_EXCHANGE = 2
AT_FDCWD = -100


def swap(one, other, ready, stop, count):
    """Exchange two names as fast as the kernel lets us."""
    libc = ctypes.CDLL(None, use_errno=True)
    a, b = os.fsencode(one), os.fsencode(other)
    while not stop.is_set():
        for _ in range(1000):
            if libc.renameat2(AT_FDCWD, a, AT_FDCWD, b,
                              RENAME_EXCHANGE) == 0:
                count.value += 1
        ready.set()


class Attacker:
    """A process that swaps a directory and a link, away and back."""

    def __init__(self, one, other):
        self.stop = multiprocessing.Event()
        self.ready = multiprocessing.Event()
        self.count = multiprocessing.Value("L", 0, lock=False)
        self.child = multiprocessing.Process(
            target=swap, args=(str(one), str(other), self.ready, self.stop,
                               self.count))

    def __enter__(self):
        self.child.start()
        assert self.ready.wait(20)
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.child.join(20)
        if self.child.is_alive():
            self.child.kill()
            self.child.join()


@pytest.fixture
def site(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    placard = lab.Placard(tmp_path / "p")
    placard.account("web", "file", root=str(root))
    placard.route("example.test", "web")
    placard.root = root
    return placard


@pytest.mark.parametrize("level", [".well-known",
                                   ".well-known/acme-challenge"])
def test_no_file_outside_the_root(site, tmp_path, soak, level):
    """Two seconds of it, or thirty."""
    outside = tmp_path / "outside"
    (outside / "acme-challenge").mkdir(parents=True)
    precious = [outside / "precious", outside / "acme-challenge" / "precious"]
    for one in precious:
        one.write_text("precious")
    # What is to be removed lies outside as well, under the same names.
    for i in range(20):
        for folder in (outside, outside / "acme-challenge"):
            (folder / f"token-{i:04d}-0123456789").write_text(
                f"token-{i:04d}-0123456789.thumb")
    before = lab.tree(outside)
    (site.root / ".well-known" / "acme-challenge").mkdir(parents=True)
    link = site.root / "link"
    link.symlink_to(outside)
    job = site.job_file(lab.job(*(
        {"method": "http-01", "domain": f"h{i}.example.test",
         "token": f"token-{i:04d}-0123456789",
         "key-authorization": f"token-{i:04d}-0123456789.thumb"}
        for i in range(20))))
    end = time.monotonic() + (30 if soak else 2)
    rounds, placed = 0, 0
    with Attacker(site.root / level, link) as attacker:
        while time.monotonic() < end or rounds < 3:
            done = site.json("present", "--jobs", job, "--no-wait")
            placed += sum(c["state"] == "published" for c in done.challenges)
            site.run("cleanup", "--all")
            assert lab.tree(outside) == before
            rounds += 1
    assert attacker.count.value > 1000
    assert placed > 0, "the attack kept everything out: nothing is tested"
    done = site.run("cleanup", "--all")
    if link.is_symlink():
        assert done.status == 0, done
    assert lab.tree(outside) == before


# ---- owners -----------------------------------------------------------------

def somebody():
    """A user and a group of this machine that are not root."""
    user = pwd.getpwnam("www-data")
    return user.pw_uid, grp.getgrnam("www-data").gr_gid


needs_root = pytest.mark.skipif(os.geteuid() != 0,
                                reason="only root gives files away")


@needs_root
@pytest.mark.parametrize("by", ["name", "number"])
def test_root_of_another_user(site, by):
    uid, gid = somebody()
    os.chown(site.root, uid, gid)
    os.chmod(site.root, 0o750)
    who = "www-data" if by == "name" else str(uid)
    site.account("web", "file", root=str(site.root), owner=who,
                 group="www-data", mode="0640")
    site.ok("present", *ACME, "--no-wait")
    path = site.root / URL[1:]
    while path != site.root:
        found = path.stat()
        assert (found.st_uid, found.st_gid) == (uid, gid), path
        assert stat.S_IMODE(found.st_mode) == (
            0o640 if path.is_file() else 0o750), path
        path = path.parent
    site.ok("cleanup", *ACME)
    assert list(site.root.iterdir()) == []
    assert site.root.stat().st_uid == uid


@needs_root
def test_group_of_the_root_is_inherited(site):
    """A directory with the set-group bit hands its group down."""
    gid = somebody()[1]
    os.chown(site.root, -1, gid)
    os.chmod(site.root, 0o2775)
    site.ok("present", *ACME, "--no-wait")
    assert (site.root / URL[1:]).stat().st_gid == gid
    site.ok("cleanup", *ACME)
    assert list(site.root.iterdir()) == []


def test_unknown_owner_and_group(site):
    for option in ("owner", "group"):
        site.account("web", "file", root=str(site.root),
                     **{option: "nobody-of-that-name"})
        site.write()
        done = site.run("present", *ACME, "--no-wait")
        assert done.status == 3 and option in done.text(), done
        assert list(site.root.iterdir()) == []


# ---- neighbours ---------------------------------------------------------------

def test_web_config(site):
    """It comes with the first file and goes with the last."""
    site.account("web", "file", root=str(site.root), web_config=True)
    folder = (site.root / URL[1:]).parent
    first = ["-m", "http-01", "-d", "a.example.test", "--token",
             "token-a-0123456789", "--key-authorization",
             "token-a-0123456789.thumb"]
    site.ok("present", *first, "--no-wait")
    site.ok("present", *ACME, "--no-wait")
    assert 'mimeMap fileExtension="."' in (folder / "web.config").read_text()
    site.ok("cleanup", *first)
    assert (folder / "web.config").exists()
    site.ok("cleanup", *ACME)
    assert list(site.root.iterdir()) == []


def test_no_web_config_unless_wanted(site):
    site.ok("present", *ACME, "--no-wait")
    assert lab.tree(site.root) == {URL[1:]: AUTH.encode()}


def test_web_config_of_somebody_else(site):
    site.account("web", "file", root=str(site.root), web_config=True)
    folder = (site.root / URL[1:]).parent
    folder.mkdir(parents=True)
    (folder / "web.config").write_text("<theirs/>")
    site.ok("present", *ACME, "--no-wait")
    site.ok("cleanup", *ACME)
    assert (folder / "web.config").read_text() == "<theirs/>"
    assert len(list(folder.iterdir())) == 1


def test_last_of_several_commands_takes_the_directories(site):
    asks = [["-m", "http-01", "-d", f"h{i}.example.test", "--token",
             f"token-{i}-0123456789", "--key-authorization",
             f"token-{i}-0123456789.thumb"] for i in range(3)]
    asks.append(["-m", "http-file", "-d", "h.example.test", "--path",
                 "/.well-known/pki-validation/x.txt", "--content", "abc"])
    for ask in asks:
        site.ok("present", *ask, "--no-wait")
    for ask in asks:
        site.ok("cleanup", *ask)
    assert list(site.root.iterdir()) == []


def test_account_test_leaves_nothing(site):
    site.ok("account", "test", "web")
    assert list(site.root.iterdir()) == []
