# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A state directory that is full, read-only or broken: exit status 8.

Nothing is published without a durable intent.
"""

import os

import pytest

import lab
from lab_crash import Strace, points


@pytest.fixture
def small(tmp_path, can_unshare):
    """A zone, and a state directory on a small disk of its own."""
    with lab.Namespace() as ns:
        state = tmp_path / "p" / "state"
        with lab.Named(tmp_path / "s", ["one.test"], ns=ns) as server:
            placard = lab.Placard(tmp_path / "p", ns=ns)
            placard.rfc2136("lab", server).route("one.test", "lab")
            ns.run("mount", "-t", "tmpfs", "-o", "size=2m,mode=0700",
                   "none", str(state))
            placard.server = server
            placard.before = server.dump()
            yield placard


ASK = ["-m", "dns-01", "-d", "one.test", "--value", lab.value(), "--no-wait"]
OTHER = ["-m", "dns-01", "-d", "www.one.test", "--value", lab.value("o"),
         "--no-wait"]


def fill(placard, leave=0):
    """Leave so many octets free on the small disk."""
    path = placard.ns.inside(os.path.join(placard.state, "filler"))
    with open(path, "wb", buffering=0) as out:
        try:
            while True:
                out.write(b"\0" * 4096)
        except OSError:
            pass
        size = os.fstat(out.fileno()).st_size
        out.truncate(max(0, size - leave))
    return path


def nothing_published(placard, updates):
    assert placard.server.updates() == updates
    assert placard.server.dump() == placard.before


@pytest.mark.quick
@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
def test_full_disk(small, used):
    if used:
        small.ok("present", *OTHER)
        small.ok("cleanup", "--all")
    updates = small.server.updates()
    filler = fill(small)
    done = small.run("present", *ASK)
    assert done.status == 8, done
    assert small.state in done.err
    nothing_published(small, updates)
    os.unlink(filler)
    small.ok("present", *ASK)
    small.ok("cleanup", "--all")
    assert small.server.dump() == small.before


@pytest.mark.parametrize("free", [4096 * n for n in (
    1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)])
def test_nearly_full_disk(small, free):
    """Whatever fits: what is published can be taken back afterwards."""
    updates = small.server.updates()
    filler = fill(small, free)
    done = small.run("present", *ASK)
    assert done.status in (0, 8), done
    if done.status == 8 and small.server.updates() == updates:
        nothing_published(small, updates)
    os.unlink(filler)
    small.ok("cleanup", "--all")
    assert small.server.dump() == small.before


def test_cleanup_on_a_full_disk(small):
    """It must not forget; with space again all of it goes."""
    small.ok("present", *ASK)
    filler = fill(small)
    done = small.run("cleanup", "--all")
    assert done.status in (0, 8), done
    os.unlink(filler)
    small.ok("cleanup", "--all")
    assert small.server.dump() == small.before
    assert small.quiet_journal()


@pytest.mark.quick
@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
def test_read_only(small, used):
    if used:
        small.ok("present", *OTHER)
        small.ok("cleanup", "--all")
    updates = small.server.updates()
    small.ns.run("mount", "-o", "remount,ro", small.state)
    for args in (["present", *ASK], ["run", *ASK[:-1], "--", "/bin/true"]):
        done = small.run(*args)
        assert done.status == 8, done
    nothing_published(small, updates)
    small.ns.run("mount", "-o", "remount,rw", small.state)
    small.ok("present", *ASK)
    small.ok("cleanup", "--all")
    assert small.server.dump() == small.before


def test_verify_needs_no_writable_state(small):
    small.server.seed("one.test", "_acme-challenge.one.test", lab.value())
    small.ns.run("mount", "-o", "remount,ro", small.state)
    done = small.run("verify", *ASK[:-1], "--server", small.server.where())
    assert done.status == 0, done


@pytest.mark.parametrize("content", [
    b"", b"this is no database", b"\0" * 8192,
    b"SQLite format 3\0" + b"\xff" * 5000],
    ids=["empty", "text", "zeros", "torn"])
def test_broken_journal(bed, content):
    """Not a byte is published on top of a journal that cannot be read."""
    bed.placard.ok("present", *bed.dns01("first"), "--no-wait")
    bed.placard.ok("cleanup", "--all")
    files = [os.path.join(folder, name) for folder, _, names in
             os.walk(bed.placard.state) for name in names]
    main = max((f for f in files if not f.endswith(("-wal", "-shm"))),
               key=os.path.getsize)
    for path in files:
        if path != main and path.startswith(main):
            os.unlink(path)
    with open(main, "wb") as out:
        out.write(content)
    before = bed.primary.updates()
    done = bed.placard.run("present", *bed.dns01("a"), "--no-wait")
    if content:
        assert done.status == 8, done
        assert main in done.err or bed.placard.state in done.err
        assert bed.primary.updates() == before
        bed.unchanged()
    else:                       # an empty file is a new journal
        assert done.status == 0, done
        bed.placard.ok("cleanup", "--all")
        bed.unchanged()


def test_state_directory_of_somebody_else(bed):
    """Others could write to it: not trusted with what must be removed."""
    os.chmod(bed.placard.state, 0o777)
    before = bed.primary.updates()
    done = bed.placard.run("present", *bed.dns01(), "--no-wait")
    assert done.status in (0, 8), done
    if done.status == 8:
        assert bed.primary.updates() == before
    else:
        mode = [os.stat(os.path.join(bed.placard.state, name)).st_mode
                for name in os.listdir(bed.placard.state)]
        assert all(m & 0o077 == 0 for m in mode)


@pytest.mark.crash
@pytest.mark.parametrize("call,error", [
    ("pwrite64", "ENOSPC"), ("pwrite64", "EIO"), ("fdatasync", "EIO"),
    ("fdatasync", "ENOSPC"), ("ftruncate", "EIO")])
def test_failing_calls(bed, soak, call, error):
    """From some call on the disk fails for good."""
    args = ["present", *bed.dns01(), "--no-wait"]
    bed.placard.ok("list")
    most = Strace(bed.placard, args).count([call]).get(call, 0)
    bed.placard.ok("cleanup", "--all")
    if most == 0:
        pytest.skip(f"{call} is never called")
    for number in points(most, soak, 8):
        updates = bed.primary.updates()
        done = Strace(bed.placard, args).fail(call, number, error)
        assert done.status in (0, 8), (number, done)
        if number == 1 and call != "ftruncate":
            assert done.status == 8, done
            assert bed.primary.updates() == updates
        done = bed.placard.run("cleanup", "--all")
        assert done.status == 0, (number, done)
        bed.unchanged()
        assert bed.placard.quiet_journal()
