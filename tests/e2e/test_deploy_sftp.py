# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Targets on another host, by SFTP: the same generations and links."""

import os
import pathlib
import shutil
import stat
import tempfile

import pytest

import lab_deploy
import lab_ssh
from lab_deploy import Depot, pair

WWW = "www.example.com"
pytestmark = pytest.mark.skipif(os.geteuid() != 0,
                                reason="its servers are started by root")


@pytest.fixture
def depot(tmp_path):
    return Depot(tmp_path / "p")


@pytest.fixture(scope="module")
def folder():
    """A place that the servers' user can walk to: not below pytest's own,
    which every new pytest closes to others again."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="placard-deploy-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def server(folder):
    with lab_ssh.Sshd(folder / "sshd") as one:
        yield one


def site(depot, server, name, **options):
    """A section for a fresh directory of the server; where it lies here."""
    depot.account("web", "sftp", **server.options())
    depot.sections = ""
    depot.deploy(WWW, account="web", directory=f"/htdocs/{name}", **options)
    return os.path.join(server.root, name)


@pytest.mark.quick
def test_one_after_the_other(depot, server):
    one, two, three = (depot.issue(WWW) for _ in range(3))
    for made in (one, two, three):
        out = site(depot, server, "one", key_file=made.key_file)
        told = depot.one(made)
        assert told["state"] == "deployed" and told["changed"] is True
        assert pair(out) == made.sha256
    assert os.readlink(os.path.join(out, "privkey.pem")) == \
        f".placard/{WWW}/current/privkey.pem"
    assert len(lab_deploy.generations(out, WWW)) == 2
    assert lab_deploy.mode(out, "privkey.pem") == "0o600"
    assert os.stat(os.path.join(out, "privkey.pem")).st_uid == lab_ssh.UID
    assert lab_deploy.leftovers(out) == []
    assert depot.one(three)["changed"] is False
    told = depot.one(one, "--key", one.key_file, status=1)
    assert "older than" in told["error"]["text"]


def test_commands_run_here(depot, server):
    """A failing pre-check puts back what was there on the other host."""
    one, two = depot.issue(WWW), depot.issue(WWW)
    out = site(depot, server, "commands", key_file=one.key_file,
               reload=["/bin/echo", "reloaded"])
    assert depot.one(one)["reload"] == "reloaded\n"
    site(depot, server, "commands", key_file=two.key_file,
         pre_check=["/bin/false"])
    told = depot.one(two, status=1)
    assert "rolled back" in told["error"]["text"]
    assert pair(out) == one.sha256
    assert len(lab_deploy.generations(out, WWW)) == 1


def test_layout_files(depot, server):
    one, two = depot.issue(WWW), depot.issue(WWW)
    for made in (one, two):
        out = site(depot, server, "files", key_file=made.key_file,
                   layout="files", key_mode="0640", files=[
                       "cert", "key", "combined", "pkcs12"],
                   pkcs12_password_file=depot.secret_file("p12", "x"))
        depot.go(made)
        assert pair(out) == made.sha256
    assert stat.S_ISREG(os.lstat(os.path.join(out, "privkey.pem")).st_mode)
    assert lab_deploy.mode(out, "combined.pem") == "0o640"
    assert lab_deploy.leftovers(out) == []


def test_dry_run(depot, server):
    one = depot.issue(WWW)
    out = site(depot, server, "dry", key_file=one.key_file)
    depot.one(one, "--dry-run")
    assert not os.path.exists(out)
    depot.go(one)
    again = depot.issue(WWW)
    site(depot, server, "dry", key_file=again.key_file)
    depot.one(again, "--dry-run")
    assert pair(out) == one.sha256


def test_proftpd(depot, folder):
    """Another server: it renames what a link leads to, so it gets files."""
    one, two = depot.issue(WWW), depot.issue(WWW)
    with lab_ssh.Proftpd(folder / "proftpd") as server:
        out = site(depot, server, "other", key_file=one.key_file)
        told = depot.one(one, status=1)
        assert 'write layout = "files"' in told["error"]["text"]
        assert not os.path.lexists(os.path.join(out, "privkey.pem"))
        for made in (one, two):
            site(depot, server, "other", key_file=made.key_file,
                 layout="files")
            depot.go(made)
            assert pair(out) == made.sha256
        assert lab_deploy.leftovers(server.jail) == []


@pytest.mark.quick
def test_trouble(depot, server, tmp_path):
    """Refused credentials, a host that is not there, a connection that is
    cut: each said, and the files of before stay."""
    one, two = depot.issue(WWW), depot.issue(WWW)
    out = site(depot, server, "trouble", key_file=one.key_file)
    depot.go(one)
    site(depot, server, "trouble", key_file=two.key_file, timeout=5)
    other = lab_ssh.keygen(tmp_path / "other")
    depot.account("web", "sftp", **server.options(private_key_file=other))
    depot.write()
    assert depot.one(two, status=4)["state"] == "failed"
    for limit in (3000, 4500, 6000):
        with lab_ssh.Cutter(server, limit=limit) as cutter:
            depot.account("web", "sftp", **server.options(
                host=cutter.address, port=cutter.port,
                known_hosts_file=None, host_key=lab_ssh.fingerprint(
                    server.hostkeys["ed25519"])))
            depot.write()
            done = depot.json("order", "deploy", two.id)
            assert done.status == 6, done
        assert pair(out) == one.sha256
    depot.account("web", "sftp", **server.options())
    depot.write()
    depot.go(two)
    assert pair(out) == two.sha256
    assert lab_deploy.leftovers(out) == []


def test_no_owner(depot, server):
    """Who logs in owns what he writes."""
    one = depot.issue(WWW)
    site(depot, server, "faults", key_file=one.key_file, owner="nobody")
    done = depot.run("order", "deploy", one.id)
    assert done.status == 3 and "belong to the account's user" in done.err
