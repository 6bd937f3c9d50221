# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""kill -9 between any two steps: what lies there is a pair, old or new."""

import os
import shutil
import subprocess

import pytest

import lab_crash
import lab_deploy
import lab_tls
from lab_deploy import Depot, pair

pytestmark = pytest.mark.crash
WWW = "www.example.com"
# Every rename and link, and a few of what comes many times.
ALL = ["renameat", "symlinkat", "mkdirat"]
SOME = ["unlinkat", "fchmod", "fsync", "fdatasync", "execve"]


@pytest.fixture
def depot(tmp_path):
    return Depot(tmp_path / "p")


def kills(depot, make, soak, calls=None):
    """Runs make() and kills it at every point; yields the certificate."""
    one = make()
    most = lab_crash.Strace(depot, ["order", "deploy", one.id]).count(
        ALL + SOME)
    assert most["renameat"] >= 5, most
    for call in calls or ALL + SOME:
        few = most.get(call, 0) if call in ALL else 3
        for number in lab_crash.points(most.get(call, 0), soak,
                                       min(few, 8)):
            one = make()
            lab_crash.Strace(depot, ["order", "deploy", one.id]).kill(
                call, number)
            yield one


def test_with_a_server(depot, tmp_path, soak):
    """The server is told in the middle of it, and serves old or new."""
    out = tmp_path / "certs"
    first = depot.issue(WWW, key_file=depot.dir + "/www.key")
    depot.deploy(WWW, directory=out, key_file=first.key_file)
    depot.go(first)
    with lab_tls.NginxTls(tmp_path / "nginx", out) as server:
        depot.sections = ""
        depot.deploy(WWW, directory=out, key_file=first.key_file,
                     **server.options())
        before = [first]

        def make():
            before.append(depot.issue(WWW, key_file=first.key_file))
            return before[-1]

        with lab_tls.Client(server, depot) as client:
            for one in kills(depot, make, soak):
                old = {b.sha256 for b in before}
                assert pair(out) in old, "no pair"
                assert subprocess.run(server.check(),
                                      check=False).returncode == 0
                assert server.shown() in old
                told = depot.one(one)
                assert told["state"] == "served", told
                assert server.shown() == pair(out) == one.sha256
                assert lab_deploy.leftovers(out) == []
                assert len(lab_deploy.generations(out, WWW)) <= 2
        assert client.trouble == []
        assert set(client.seen) <= {b.sha256 for b in before}


def plain(depot, out, one):
    """Plain files, as somebody else has left them."""
    shutil.rmtree(out, ignore_errors=True)
    aside = out + ".aside"
    shutil.rmtree(aside, ignore_errors=True)
    depot.go(one, "--key", one.key_file, "--out", aside)
    os.mkdir(out)
    for name in ("cert.pem", "chain.pem", "fullchain.pem", "privkey.pem"):
        shutil.copy(os.path.join(aside, name), os.path.join(out, name))


def test_while_taking_over(depot, tmp_path, soak):
    """From plain files to links, at every rename and link."""
    out = str(tmp_path / "certs")
    first = depot.issue(WWW)
    new = depot.issue(WWW)
    depot.deploy(WWW, directory=out, key_file=new.key_file)

    def make():
        plain(depot, out, first)
        return new

    for _ in kills(depot, make, soak, ALL):
        assert pair(out) in (first.sha256, new.sha256)
        depot.go(new)
        assert pair(out) == new.sha256
        assert lab_deploy.leftovers(out) == []


def test_plain_files(depot, tmp_path, soak):
    """Two plain files cannot change at once; the next run mends it."""
    out = str(tmp_path / "certs")
    key = depot.dir + "/www.key"
    depot.deploy(WWW, directory=out, key_file=key, layout="files")
    depot.go(depot.issue(WWW, key_file=key))
    for one in kills(depot, lambda: depot.issue(WWW, key_file=key), soak,
                     ["renameat"]):
        depot.go(one)
        assert pair(out) == one.sha256
        assert lab_deploy.leftovers(out) == []
        assert len(lab_deploy.generations(out, WWW)) <= 2


def test_on_the_way_back(depot, tmp_path, soak):
    """Killed while it goes back: the next run goes on with it."""
    out = str(tmp_path / "certs")
    key = depot.dir + "/www.key"
    depot.deploy(WWW, directory=out, key_file=key)
    first = depot.issue(WWW, key_file=key)
    depot.go(first)
    depot.sections = ""
    depot.deploy(WWW, directory=out, key_file=key,
                 pre_check=["/bin/false"])
    one = depot.issue(WWW, key_file=key)
    args = ["order", "deploy", one.id]
    for call, number in (("renameat", 6), ("renameat", 7), ("unlinkat", 1),
                         ("unlinkat", 3), ("execve", 5)):
        lab_crash.Strace(depot, args).kill(call, number)
        assert pair(out) in (first.sha256, one.sha256)
        depot.go(one, status=1)
        assert pair(out) == first.sha256
        assert lab_deploy.leftovers(out) == []
