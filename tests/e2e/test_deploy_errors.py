# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""What must not be deployed, and what is told of it.

Everywhere the certificate that was there before stays, and its pair is
whole.
"""

import os
import re
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import lab_deploy
from lab_deploy import DAY, Authority, Depot, pair

WWW = "www.example.com"


@pytest.fixture
def depot(tmp_path):
    return Depot(tmp_path)


@pytest.fixture
def out(tmp_path):
    return str(tmp_path / "out")


class Site:
    """A directory with a first certificate, and a section for the next."""

    def __init__(self, depot, out, **options):
        self.depot, self.out, self.options = depot, out, options
        self.first = depot.issue(WWW, "example.com")
        self.section(self.first)
        depot.go(self.first)

    def section(self, one, **more):
        self.depot.sections = ""
        self.depot.deploy(WWW, directory=self.out, key_file=one.key_file,
                          **(self.options | more))

    def refused(self, one, *says, status=1, again=True):
        """one is not deployed; the words that tell why."""
        self.section(one)
        told = self.depot.one(one, status=status)
        assert told["state"] == "failed"
        for word in says:
            assert word in told["error"]["text"], told
        assert told["error"]["text"].startswith(f"{WWW}: ")
        row = self.depot.rows(one)[WWW]
        assert row[0] == "failed" and row[1] is again
        assert self.depot.events(one) == ["failed"]
        self.unharmed()

    def unharmed(self):
        assert pair(self.out) == self.first.sha256
        assert lab_deploy.leftovers(self.out) == []


@pytest.fixture
def site(depot, out):
    return Site(depot, out)


@pytest.mark.quick
def test_wrong_key(site):
    one = site.depot.issue(WWW, "example.com")
    site.depot.put_key(ec.generate_private_key(ec.SECP256R1()), one.key_file)
    site.refused(one, "key: is not the one of the certificate")


@pytest.mark.quick
def test_wrong_name(site):
    """A name that was ordered is not in it."""
    one = site.depot.issue(WWW, "example.com",
                           ordered=[WWW, "example.com", "shop.example.com"])
    site.refused(one, "not for shop.example.com")


def test_wildcard_covers_one_label(site):
    one = site.depot.issue(WWW, "*.example.com",
                           ordered=[WWW, "*.example.com", "a.example.com"])
    site.section(one)
    site.depot.go(one)
    deep = site.depot.issue(WWW, "*.example.com",
                            ordered=[WWW, "a.b.example.com"])
    site.section(deep)
    told = site.depot.one(deep, status=1)
    assert "not for a.b.example.com" in told["error"]["text"]
    assert pair(site.out) == one.sha256


@pytest.mark.quick
def test_broken_chain(site):
    """The intermediate is missing, another's, or in the wrong place."""
    depot = site.depot
    site.refused(depot.issue(WWW, chain=[]), "certificate chain")
    site.refused(depot.issue(WWW, chain=[Authority().issuer]),
                 "has not signed")
    site.refused(depot.issue(WWW, chain=[depot.ca.root, depot.ca.issuer]),
                 "has not signed")


def test_no_root(site):
    """Nobody knows where the chain ends."""
    one = site.depot.issue(WWW)
    site.depot.sql("UPDATE certificates SET root = '' WHERE order_id = ?",
                   one.number)
    site.refused(one, "certificate chain")


@pytest.mark.quick
def test_dates(site):
    now = time.time()
    site.refused(site.depot.issue(WWW, begin=now - 10 * DAY, days=9),
                 "ended at")
    site.refused(site.depot.issue(WWW, begin=now + DAY), "not before")


def test_not_older(site):
    one = site.depot.issue(WWW, begin=time.time() - 200 * DAY, days=300)
    site.refused(one, "older than", site.first.serial)


def test_order_is_not_in_force(depot, out):
    """Cancelled, revoked, expired: not deployed, whatever the book has."""
    for state, word in ((4, "cancelled"), (5, "revoked"), (6, "expired")):
        one = depot.issue(WWW, state=state)
        depot.sections = ""
        depot.deploy(WWW, directory=out, key_file=one.key_file)
        told = depot.one(one, status=1)
        assert word in told["error"]["text"]
    one = depot.issue(WWW, state=1)
    depot.sql("DELETE FROM certificates WHERE order_id = ?", one.number)
    done = depot.run("order", "deploy", one.id)
    assert done.status == 6 and "no certificate yet" in done.err
    assert not os.path.exists(out)


@pytest.mark.quick
def test_failing_reload(site):
    """The files are in place, and only the rest is tried again."""
    one = site.depot.issue(WWW, "example.com")
    flag = site.out + ".flag"
    site.options = {"reload": ["/bin/sh", "-c", f"test -e {flag} || "
                               "{ echo not now >&2; exit 4; }"]}
    site.section(one)
    told = site.depot.one(one, status=6)
    assert told["state"] == "failed" and told["error"]["retry"] is True
    assert told["reload"] == "not now\n"
    assert "reload: exit status 4: not now" in told["error"]["text"]
    assert pair(site.out) == one.sha256
    open(flag, "w").close()
    told = site.depot.one(one)
    assert told["state"] == "deployed" and told["changed"] is False


def test_command_without_end(site):
    """The deadline ends it, and what it has started."""
    one = site.depot.issue(WWW)
    site.options = {"timeout": 1, "reload": ["/bin/sh", "-c",
                                             "sleep 600 & sleep 600"]}
    site.section(one)
    told = site.depot.one(one, status=6)
    assert "not ended after 1000 ms" in told["error"]["text"]
    left = subprocess.run(["ps", "-eo", "args"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    assert site.out not in left


def test_program_that_is_not_there(site):
    one = site.depot.issue(WWW)
    site.options = {"pre_check": ["/no/such/program"]}
    site.section(one)
    told = site.depot.one(one, status=site.depot.run(
        "order", "deploy", one.id).status)
    assert "/no/such/program: No such file" in told["error"]["text"]
    site.unharmed()


@pytest.fixture
def small(tmp_path):
    """128 KiB of disk."""
    place = str(tmp_path / "small")
    os.mkdir(place)
    if os.geteuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=128k", "none", place],
            check=False).returncode != 0:
        pytest.skip("this user may not mount")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("layout", ["links", "files"])
def test_full_disk(depot, small, layout):
    """Nothing is changed, it is said, and it works when there is room."""
    site = Site(depot, os.path.join(small, "out"), layout=layout)
    for left in (0, 1, 2, 4):
        with open(os.path.join(small, "filler"), "wb",
                  buffering=0) as filler:
            try:
                while filler.write(b"x" * 4096) == 4096:
                    continue
            except OSError:
                pass
        os.truncate(filler.name, max(0, os.path.getsize(filler.name) -
                                     left * 4096))
        one = depot.issue(WWW, "example.com")
        site.refused(one, "No space left on device", status=6)
        os.unlink(filler.name)
        site.section(one)
        depot.go(one)
        assert pair(site.out) == one.sha256
        site.first = one


def test_something_in_the_way(depot, out, tmp_path):
    """Links of others, and what is no file, are not replaced."""
    one = depot.issue(WWW)
    depot.deploy(WWW, directory=out, key_file=one.key_file)
    os.mkdir(out)
    elsewhere = str(tmp_path / "elsewhere.pem")
    with open(elsewhere, "w", encoding="ascii") as text:
        text.write("theirs")
    os.symlink(elsewhere, os.path.join(out, "cert.pem"))
    told = depot.one(one, status=1)
    assert "a link that is not placard's" in told["error"]["text"]
    assert lab_deploy.read(elsewhere) == b"theirs"
    os.unlink(os.path.join(out, "cert.pem"))
    os.mkdir(os.path.join(out, "cert.pem"))
    assert "not a plain file" in depot.one(one, status=1)["error"]["text"]
    os.rmdir(os.path.join(out, "cert.pem"))
    shadow = os.path.join(out, ".placard")
    subprocess.run(["rm", "-r", shadow], check=True)
    os.symlink(str(tmp_path), shadow)
    assert "symbolic link" in depot.one(one, status=1)["error"]["text"]
    os.unlink(shadow)
    depot.go(one)
    assert pair(out) == one.sha256


@pytest.mark.quick
def test_key_file(depot, out):
    one = depot.issue(WWW)
    depot.deploy(WWW, directory=out)
    told = depot.one(one, status=3)
    assert "key: missing" in told["error"]["text"]
    told = depot.one(one, "--key", depot.dir + "/none", status=3)
    assert "No such file" in told["error"]["text"]
    os.chmod(one.key_file, 0o640)
    told = depot.one(one, "--key", one.key_file, status=3)
    assert "chmod" in told["error"]["text"]
    assert not os.path.exists(out)


SECTION = 'deploy "www.example.com" {\n  directory = "/tmp/x"\n  %s\n}\n'
FAULTS = [
    ('laoyut = "links"', 3, "laoyut", 'did you mean "layout"'),
    ('layout = "both"', 3, "layout", "none of links, files"),
    ('files = { "cert", "crt" }', 3, "files", '"crt" is none of'),
    ('files = { }', 3, "files", "empty list"),
    ('files = { "cert", "cert" }', 3, "files", "twice"),
    ('cert-name = "../cert"', 3, "cert-name", "no plain name"),
    ('cert-name = "privkey.pem"', 3, "cert-name", "same name"),
    ('files = { "pkcs12" }', 1, "pkcs12-password", "missing"),
    ('owner = "nobody-of-that-name"', 3, "owner", "no such user"),
    ('group = "nobody-of-that-name"', 3, "group", "no such group"),
    ('mode = "999"', 3, "mode", "octal"),
    ('mode = "0666"', 3, "mode", "open to others"),
    ('key-mode = "0644"', 3, "key-mode", "open to others"),
    ('pre-check = { "nginx", "-t" }', 3, "pre-check", "absolute path"),
    ('reload = "/bin/true"\n  reload = "/bin/true"', 4, "reload",
     "given twice"),
    ('served = "www.example.com"', 3, "served", "HOST:PORT"),
    ('served-name = "x.example.com"', 3, "served-name", "no \"served\""),
    ('account = "none"', 3, "account", "no account of the provider sftp"),
    ('timeout = 0', 3, "timeout", "from 1 to 3600"),
    ('target "a b" { }', 3, "target", "are expected"),
    ('target "a" { }\n  target "a" { }', 4, "target", "given twice"),
    ('target "a" { mode = "0777" }', 3, "mode", "open to others"),
    ('key-file = "shared.key"', 3, "key-file", "chmod 600"),
]


@pytest.mark.quick
@pytest.mark.parametrize("text, line, key, says", FAULTS,
                         ids=[re.sub(r"\W+", "-", f[0])[:40]
                              for f in FAULTS])
def test_configuration(depot, text, line, key, says):
    """File, line and key, and what would be right."""
    open(os.path.join(depot.dir, "shared.key"), "w").close()
    depot.sections = SECTION % text
    depot.write()
    before = depot.text().index(depot.sections)
    line += depot.text()[:before].count("\n")
    done = depot.run("order", "list")
    assert done.status == 3
    assert f"{depot.config}:{line}: {key}: " in done.err, done
    assert says in done.err


def test_configuration_of_sections(depot):
    for text, says in (
            ('deploy "A.example.com" { directory = "/x" }', "lower case"),
            ('deploy "a.test" { }', "directory: missing"),
            ('deploy "a.test" { directory = "/x" }\n' * 2, "given twice")):
        depot.sections = text + "\n"
        depot.write()
        done = depot.run("order", "list")
        assert done.status == 3 and says in done.err, done
