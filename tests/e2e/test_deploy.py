# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""order deploy: what lies where afterwards, and what is told of it."""

import grp
import os
import pwd
import shutil
import stat
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import lab
import lab_deploy
import lab_tls
from lab_deploy import Depot, mode, pair, read

WWW = "www.example.com"


@pytest.fixture
def depot(tmp_path):
    return Depot(tmp_path)


@pytest.fixture
def out(tmp_path):
    return str(tmp_path / "out")


@pytest.mark.quick
def test_default_files(depot, out):
    one = depot.issue(WWW, "example.com")
    depot.deploy(WWW, directory=out, key_file=one.key_file)
    told = depot.one(one)
    assert told["target"] == WWW and told["state"] == "deployed"
    assert told["sha256"] == one.sha256 and told["serial"] == one.serial
    assert told["generation"] == 1 and told["changed"] is True
    assert sorted(os.listdir(out)) == [".placard", "cert.pem", "chain.pem",
                                       "fullchain.pem", "privkey.pem"]
    assert pair(out) == one.sha256
    chain = "".join(lab_deploy.pem(c) for c in one.chain).encode()
    assert read(out, "chain.pem") == chain
    assert read(out, "fullchain.pem") == read(out, "cert.pem") + chain
    assert mode(out, "privkey.pem") == "0o600"
    assert mode(out, "cert.pem") == "0o644"
    again = depot.one(one)
    assert again["changed"] is False and again["generation"] == 1
    assert depot.events(one) == ["deployed", "deployed"]


def test_rights_and_owner(depot, out):
    """Owner, group and modes, on files and the directories that were made."""
    one = depot.issue(WWW)
    user, group = pwd.getpwuid(65534), grp.getgrgid(
        pwd.getpwnam("nobody").pw_gid)
    depot.deploy(WWW, directory=out, key_file=one.key_file,
                 owner=user.pw_name, group=group.gr_name, mode="0444",
                 key_mode="0440", files=["key", "combined", "cert"],
                 cert_name="%n.crt", key_name="%n.key")
    depot.go(one)
    for name, rights in (("www.example.com.crt", "0o444"),
                         ("www.example.com.key", "0o440"),
                         ("combined.pem", "0o440")):
        assert mode(out, name) == rights
        found = os.stat(os.path.join(out, name))
        assert (found.st_uid, found.st_gid) == (user.pw_uid, group.gr_gid)
    assert pair(out, f"{WWW}.crt", f"{WWW}.key") == one.sha256


def test_never_readable_by_others(depot, out, tmp_path):
    """From its first moment: watched through the system calls."""
    one = depot.issue(WWW)
    depot.deploy(WWW, directory=out, key_file=one.key_file, key_mode="0640",
                 files=["key", "combined", "pkcs12"],
                 pkcs12_password_file=depot.secret_file("p12", "secret"))
    log = str(tmp_path / "strace.log")
    done = depot.run("order", "deploy", one.id, wrap=[
        lab.strace(), "-f", "-o", log, "-y", "-e",
        "trace=openat,openat2,fchmod,chmod,fchmodat,write,renameat"])
    assert done.status == 0, done
    made, written = {}, set()
    with open(log, errors="replace") as text:
        for line in text:
            if "O_CREAT" in line and ".placard-" in line:
                assert "O_EXCL" in line and ", 0600)" in line, line
                name = line.split('".placard-')[1].split('"')[0]
                made[name] = True
            if " write(" in line and ".placard-" in line:
                written.add(line.split(".placard-")[1].split(">")[0])
            if " fchmod(" in line and "0644" not in line:
                assert "0640" in line or "0755" in line, line
    # Every file, with the marker, was made so and then filled.
    assert len(made) == 4 and written == set(made)


@pytest.mark.quick
def test_pkcs12(depot, out):
    """Read back by OpenSSL, and by Java where there is one."""
    one = depot.issue(WWW)
    secret = depot.secret_file("p12", "pass phrase")
    depot.deploy(WWW, directory=out, key_file=one.key_file,
                 files=["pkcs12"], pkcs12_password_file=secret)
    depot.go(one)
    bundle = os.path.join(out, "bundle.p12")
    text = subprocess.run(
        [lab.find_program("openssl"), "pkcs12", "-in", bundle, "-passin",
         f"file:{secret}", "-nodes"], check=True,
        stdout=subprocess.PIPE).stdout
    blocks = text.split(b"-----BEGIN CERTIFICATE")[1:]
    assert [x509.load_pem_x509_certificate(
        b"-----BEGIN CERTIFICATE" + b).serial_number for b in blocks] == [
        one.cert.serial_number, one.chain[0].serial_number]
    key = serialization.load_pem_private_key(
        text[text.index(b"-----BEGIN PRIVATE KEY"):], None)
    assert lab_deploy.spki(key) == lab_deploy.spki(one.key)
    assert mode(bundle) == "0o600"
    # Its octets differ each time it is made: it stays as it is.
    before = read(bundle)
    assert depot.one(one)["changed"] is False and read(bundle) == before
    # With another password it is made anew.
    depot.secret_file("p12", "another")
    assert depot.one(one)["changed"] is True and read(bundle) != before


def test_pkcs12_java(depot, out):
    if not shutil.which("keytool"):
        pytest.skip("keytool is not here")
    one = depot.issue(WWW)
    secret = depot.secret_file("p12", "changeit")
    depot.deploy(WWW, directory=out, key_file=one.key_file,
                 files=["pkcs12"], pkcs12_password_file=secret)
    depot.go(one)
    done = subprocess.run(
        ["keytool", "-list", "-v", "-storetype", "PKCS12", "-keystore",
         os.path.join(out, "bundle.p12"), "-storepass:file", secret],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False)
    assert done.returncode == 0, done.stdout
    assert "PrivateKeyEntry" in done.stdout
    assert f"Alias name: {WWW}" in done.stdout
    assert "Certificate chain length: 2" in done.stdout
    sha = ":".join(one.sha256[i:i + 2] for i in range(0, 64, 2)).upper()
    assert sha in done.stdout


def test_combined_has_all(depot, out):
    one = depot.issue(WWW)
    depot.deploy(WWW, directory=out, key_file=one.key_file,
                 files=["combined"], combined_name="%n.pem")
    depot.go(one)
    text = read(out, f"{WWW}.pem")
    assert text.count(b"BEGIN CERTIFICATE") == 2
    assert text.count(b"BEGIN PRIVATE KEY") == 1
    assert sorted(os.listdir(out)) == [".placard", f"{WWW}.pem"]


@pytest.mark.quick
def test_one_target_fails(depot, out):
    """The others are done, and the report says which are not."""
    one = depot.issue(WWW)
    depot.targets(WWW, {"key_file": one.key_file},
                  good={"directory": out},
                  bad={"directory": out + "2", "reload": ["/bin/false"]},
                  worse={"directory": "/proc/nowhere"})
    told = depot.go(one, status=7)["targets"]
    states = {t["target"]: t["state"] for t in told}
    assert states == {f"{WWW}/good": "deployed", f"{WWW}/bad": "failed",
                      f"{WWW}/worse": "failed"}
    assert pair(out) == pair(out + "2") == one.sha256
    rows = depot.rows(one)
    assert rows[f"{WWW}/good"] == ("deployed", False, None)
    assert rows[f"{WWW}/bad"][:2] == ("failed", True)
    shown = depot.json("order", "show", one.id).objects[0]["targets"]
    assert {t["target"]: t["state"] for t in shown} == states
    text = depot.ok("order", "show", one.id).out
    assert f"target {WWW}/good: deployed since 2" in text
    assert "reload: exit status 1" in text and "next try at 2" in text


def test_target(depot, out):
    one = depot.issue(WWW)
    depot.targets(WWW, {"key_file": one.key_file},
                  first={"directory": out}, other={"directory": out + "2"})
    told = depot.one(one, "--target", "other")
    assert told["target"] == f"{WWW}/other"
    assert not os.path.exists(out) and pair(out + "2") == one.sha256
    done = depot.run("order", "deploy", one.id, "--target", "third")
    assert done.status == 2 and f"{WWW}/first, {WWW}/other" in done.err


@pytest.mark.quick
def test_dry_run(depot, out):
    """Nothing is made, not even the directory."""
    one = depot.issue(WWW)
    wrong = depot.issue(WWW)
    depot.deploy(WWW, directory=out, key_file=one.key_file,
                 reload=["/bin/touch", out + ".touched"])
    told = depot.one(one, "--dry-run")
    assert told["state"] == "pending" and told["error"] is None
    assert "would be deployed" in depot.ok("order", "deploy", one.id,
                                           "--dry-run").out
    told = depot.one(wrong, "--dry-run", status=1)
    assert "is not the one of the certificate" in told["error"]["text"]
    assert not os.path.exists(out) and not os.path.exists(out + ".touched")
    assert depot.rows(one) == {} and depot.events(one) == []


def test_out(depot, out):
    """--key and --out need no section, and leave nothing to be retried."""
    one = depot.issue(WWW)
    done = depot.ok("order", "deploy", one.id, "--key", one.key_file,
                    "--out", out)
    assert "deployed" in done.out and pair(out) == one.sha256
    assert depot.rows(one) == {} and depot.events(one) == ["deployed"]
    for args in (["--out", out], ["--out", out, "--key", one.key_file,
                                  "--target", "x"]):
        assert depot.run("order", "deploy", one.id, *args).status == 2
    done = depot.run("order", "deploy", one.id)
    assert done.status == 3 and "no section deploy" in done.err


def test_patterns(depot, out):
    """One section for many certificates, each under its own names."""
    wild = depot.issue("*.example.com")
    plain = depot.issue("a.example.com", "b.example.com")
    other = depot.issue("www.example.org")
    for one in (wild, plain):
        base = one.cert.subject.rdns[0].rfc4514_string()[3:].replace("*",
                                                                     "_")
        os.rename(one.key_file, os.path.join(depot.dir, f"{base}.key"))
    depot.deploy("*.example.com", directory=out, key_file="%n.key",
                 files=["fullchain", "key"], fullchain_name="%n.pem",
                 key_name="%n.key")
    depot.go(wild)
    depot.go(plain)
    assert depot.run("order", "deploy", other.id).status == 3
    assert pair(out, "_.example.com.pem", "_.example.com.key") == wild.sha256
    assert pair(out, "a.example.com.pem",
                "a.example.com.key") == plain.sha256


def test_two_certificates_one_name(depot, out):
    """The second is refused rather than put in the place of the first."""
    one, two = depot.issue("a.example.com"), depot.issue("b.example.com")
    depot.deploy("*.example.com", directory=out)
    depot.go(one, "--key", one.key_file)
    told = depot.one(two, "--key", two.key_file, status=1)
    assert "is of the certificate a.example.com" in told["error"]["text"]
    assert pair(out) == one.sha256


@pytest.mark.quick
@pytest.mark.parametrize("layout", ["links", "files"])
def test_files_that_were_there(depot, out, layout):
    """What was there before placard is kept, and is what a failing
    pre-check brings back."""
    old = depot.issue(WWW)
    depot.go(old, "--key", old.key_file, "--out", out + "0")
    os.mkdir(out)
    for name in ("cert.pem", "privkey.pem"):
        shutil.copy(os.path.join(out + "0", name), os.path.join(out, name))
    os.chmod(os.path.join(out, "privkey.pem"), 0o640)
    new = depot.issue(WWW)
    options = {"directory": out, "key_file": new.key_file, "layout": layout}
    depot.deploy(WWW, pre_check=["/bin/false"], **options)
    depot.go(new, status=1)
    assert pair(out) == old.sha256
    assert mode(out, "privkey.pem") == "0o640"
    if layout == "files":       # those were not there
        assert not os.path.lexists(os.path.join(out, "chain.pem"))
    depot.sections = ""
    depot.deploy(WWW, **options)
    depot.go(new)
    assert pair(out) == new.sha256
    link = os.path.islink(os.path.join(out, "cert.pem"))
    assert link == (layout == "links")
    assert lab_deploy.leftovers(out) == []


def test_nothing_was_there(depot, out):
    """A failing pre-check takes the very first files away again."""
    one = depot.issue(WWW)
    for layout in ("links", "files"):
        depot.sections = ""
        depot.deploy(WWW, directory=out, key_file=one.key_file,
                     layout=layout, pre_check=["/bin/false"])
        told = depot.one(one, status=1)
        assert "taken away again" in told["error"]["text"]
        assert os.listdir(out) == [".placard"]


def test_layout_files(depot, out):
    """Plain files, changed from links and back."""
    several = [depot.issue(WWW) for _ in range(4)]
    for one, layout in zip(several, ("files", "files", "links", "files")):
        depot.sections = ""
        depot.deploy(WWW, directory=out, key_file=one.key_file,
                     layout=layout)
        depot.go(one)
        assert pair(out) == one.sha256
        kind = os.lstat(os.path.join(out, "privkey.pem")).st_mode
        assert stat.S_ISLNK(kind) == (layout == "links")
        assert mode(out, "privkey.pem") == "0o600"
    assert len(lab_deploy.generations(out, WWW)) == 2


def test_passphrase(depot, out):
    """The key may be encrypted where it lies; the server gets it plain."""
    one = depot.issue(WWW)
    secret = depot.secret_file("pass", "open it")
    with open(one.key_file, "wb") as text:
        text.write(one.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"open it")))
    depot.deploy(WWW, directory=out, key_file=one.key_file,
                 key_passphrase_file=secret)
    depot.go(one)
    assert pair(out) == one.sha256


def test_what_commands_get(depot, out):
    """A clean environment, no shell, output in log and report, bounded."""
    one = depot.issue(WWW)
    depot.deploy(WWW, directory=out, key_file=one.key_file,
                 pre_check=["/usr/bin/env"],
                 reload=["/bin/sh", "-c", "printf '%s' \"$0\"; "
                         "yes | head -c 9000", "$HOME; echo"])
    done = depot.json("-v", "order", "deploy", one.id)
    told = done.objects[0]["targets"][0]
    env = dict(line.split("=", 1) for line in told["preCheck"].splitlines())
    assert set(env) == {"PATH", "LANG", "PLACARD_TARGET", "PLACARD_NAME",
                        "PLACARD_DIRECTORY"}
    assert env["PLACARD_DIRECTORY"] == out and env["PLACARD_NAME"] == WWW
    assert told["reload"].startswith("$HOME; echoy\n")
    assert len(told["reload"]) <= 4096
    assert "PLACARD_TARGET=www.example.com" in done.err


@pytest.mark.quick
def test_not_served(depot, out, tmp_path):
    """Deployed, and the server shows the old one: said by itself."""
    old = depot.issue(WWW)
    depot.deploy(WWW, directory=out, key_file=old.key_file)
    depot.go(old)
    with lab_tls.NginxTls(tmp_path / "nginx", out) as server:
        new = depot.issue(WWW)
        depot.sections = ""
        depot.deploy(WWW, directory=out, key_file=new.key_file,
                     served=server.where())
        told = depot.one(new, "--timeout", "1", status=5)
        assert told["state"] == "deployed" and told["next"]
        assert "another certificate is shown" in told["error"]["text"]
        assert depot.events(new) == ["deployed", "failed"]
        # It may be there any moment: not as what is refused for good.
        due = depot.sql("SELECT due FROM targets WHERE order_id = ?",
                        new.number)[0][0] / 1000 - time.time()
        assert due < 60
        subprocess.run(server.reload(), check=True)
        told = depot.one(new)
        assert told["state"] == "served" and told["next"] is None
        assert server.shown() == new.sha256
    assert depot.events(new)[-2:] == ["deployed", "served"]
    told = depot.one(new, "--timeout", "1", status=5)
    assert "refused" in told["error"]["text"]


def test_served_name(depot, out, tmp_path):
    """The name is said, and the certificate for that name compared."""
    wild = depot.issue("*.example.com")
    depot.deploy("*.example.com", directory=out, key_file=wild.key_file)
    depot.go(wild)
    conf = str(tmp_path / "nginx")
    with lab_tls.NginxTls(conf, out) as server:
        depot.sections = ""
        depot.deploy("*.example.com", directory=out, key_file=wild.key_file,
                     served=server.where(), served_name="x.example.com")
        assert depot.one(wild)["state"] == "served"


def test_replaced(depot, out):
    """An order whose certificate had to make room for a younger one."""
    old, new = depot.issue(WWW), depot.issue(WWW)
    depot.deploy(WWW, directory=out)
    depot.go(old, "--key", old.key_file)
    depot.go(new, "--key", new.key_file)
    assert depot.rows(old) == {WWW: ("replaced", False, None)}
    assert depot.rows(new) == {WWW: ("deployed", False, None)}
    told = depot.one(old, "--key", old.key_file, status=1)
    assert "older than" in told["error"]["text"]
    assert pair(out) == new.sha256


FIRST = ["orders", "names", "challenges", "events", "certificates", "sync"]
INDEXES = ["orders_store", "orders_custom", "orders_busy", "events_order"]


@pytest.mark.quick
def test_book_of_an_older_version(depot, out):
    """The first version had no targets; it is brought up where it lies."""
    one = depot.issue(WWW)
    for (name,) in depot.sql("SELECT name FROM sqlite_master WHERE type = "
                             "'table' AND name NOT LIKE 'sqlite%'"):
        if name not in FIRST:
            depot.sql(f"DROP TABLE {name}")
    for (name,) in depot.sql("SELECT name FROM sqlite_master WHERE type = "
                             "'index' AND sql IS NOT NULL"):
        if name not in INDEXES:
            depot.sql(f"DROP INDEX {name}")
    depot.sql("PRAGMA user_version = 1")
    depot.deploy(WWW, directory=out, key_file=one.key_file)
    assert depot.one(one)["state"] == "deployed"
    assert depot.rows(one) == {WWW: ("deployed", False, None)}


def test_secrets_stay_where_they_are(depot, out, tmp_path):
    """Key and password: in the files that shall have them, nowhere else."""
    one = depot.issue(WWW)
    secret = depot.secret_file("p12", "a-telling-password")
    depot.deploy(WWW, directory=out, key_file=one.key_file,
                 files=["key", "pkcs12"], pkcs12_password_file=secret,
                 pre_check=["/usr/bin/env"], reload=["/bin/false"])
    log = str(tmp_path / "strace.log")
    done = depot.run("-v", "-v", "order", "deploy", one.id, wrap=[
        lab.strace(), "-f", "-v", "-s", "4096", "-o", log, "-e",
        "trace=execve"])
    assert done.status == 6, done
    body = read(one.key_file).splitlines()[1]
    told = done.text().encode() + read(log)
    for name in os.listdir(depot.state):
        told += read(depot.state, name)
    assert b"execve" in told and one.serial.encode() in told
    assert body not in told and b"telling" not in told
    assert read(out, "privkey.pem").splitlines()[1] == body
