# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""SSH servers, networks and moments that go wrong."""

import os
import stat

import pytest

import lab
import lab_ssh
from lab_crash import JOURNAL, Strace, points
from test_file import ACME, AUTH, URL
from test_sftp import (either, everything, many, open_path,  # noqa: F401
                       seed, server, site_of)

pytestmark = pytest.mark.skipif(os.geteuid() != 0,
                                reason="sshd and its users want root")


def refused(site, status, *words):
    """present fails like that, says so, and leaves nothing open."""
    done = site.json("present", *ACME, "--no-wait", "--timeout", "10")
    assert done.status == status, done
    one, = done.challenges
    assert one["state"] == "failed", done
    for word in words:
        assert word in one["error"]["text"], (word, done)
    assert site.quiet_journal()
    test = site.json("account", "test", "web")
    assert test.status == status, test
    return one["error"]


# ---- who is that host? -----------------------------------------------------

@pytest.fixture
def loud(open_path):  # noqa: F811
    """It tells when somebody so much as names a user."""
    with lab_ssh.Sshd(open_path / "ssh", kinds=("ed25519", "ecdsa"),
                      more="LogLevel DEBUG1\n") as one:
        yield one
        assert "userauth-request" not in one.output()


def known(tmp_path, text):
    path = tmp_path / "known"
    path.write_text(text)
    return str(path)


def test_unknown_host(loud, tmp_path):
    other = lab_ssh.keygen(tmp_path / "other")
    print_ = lab_ssh.fingerprint(loud.hostkeys["ed25519"])
    line = lab_ssh.host_line(loud.hostkeys["ed25519"], loud.name_in_file)
    for text in ("", lab_ssh.host_line(other, "another.example.test"),
                 lab_ssh.host_line(loud.hostkeys["ed25519"], loud.address),
                 lab_ssh.host_line(loud.hostkeys["ed25519"],
                                   f"{loud.name_in_file},!*"),
                 "garbage\n|1|a|b\n@revoked\n"):
        site = site_of(loud, tmp_path / "p",
                       known_hosts_file=known(tmp_path, text))
        site.write()
        refused(site, 3, "unknown", print_, line.strip())
    # Nothing was learnt.
    assert line not in (tmp_path / "known").read_text()


def test_changed_host(loud, tmp_path):
    other = lab_ssh.keygen(tmp_path / "other")
    site = site_of(loud, tmp_path / "p", known_hosts_file=known(
        tmp_path, lab_ssh.host_line(other, loud.name_in_file)))
    error = refused(site, 1, "changed",
                    lab_ssh.fingerprint(loud.hostkeys["ed25519"]))
    assert "unknown" not in error["text"]


def test_changed_pin(loud, tmp_path):
    other = lab_ssh.keygen(tmp_path / "other")
    site = site_of(loud, tmp_path / "p", known_hosts_file=None,
                   host_key=lab_ssh.fingerprint(other))
    refused(site, 1, "changed",
            lab_ssh.fingerprint(loud.hostkeys["ed25519"]))


def test_no_pin_and_no_file(loud, tmp_path):
    site = site_of(loud, tmp_path / "p", known_hosts_file=None)
    refused(site, 3, "unknown", 'host-key = "' +
            lab_ssh.fingerprint(loud.hostkeys["ed25519"]))


def test_revoked_host(loud, tmp_path):
    key = loud.hostkeys["ed25519"]
    for revoked in (lab_ssh.host_line(key, "*", "@revoked "),
                    lab_ssh.host_line(key, loud.name_in_file, "@revoked ")):
        for text in (revoked, revoked + lab_ssh.host_line(
                key, loud.name_in_file), lab_ssh.host_line(
                    key, loud.name_in_file) + revoked):
            site = site_of(loud, tmp_path / "p",
                           known_hosts_file=known(tmp_path, text))
            site.write()
            refused(site, 1, "revoked", lab_ssh.fingerprint(key))


def test_missing_known_hosts_file(loud, tmp_path):
    site = site_of(loud, tmp_path / "p",
                   known_hosts_file=str(tmp_path / "not-there"))
    refused(site, 3, "known-hosts-file", "not-there")


def test_rsa_host_key(open_path, tmp_path):  # noqa: F811
    """Where libssh2 cannot, a sentence says what it needs."""
    with lab_ssh.Sshd(open_path / "ssh", kinds=("rsa",)) as server:
        site = site_of(server, tmp_path / "p")
        done = site.run("account", "test", "web")
        if done.status == 0:
            pytest.skip("this libssh2 does rsa-sha2")
        refused(site, 1, "RSA", "rsa-sha2 needs libssh2 1.11")
        shown = site.run("account", "show", "--host-key", "web")
        assert shown.status == 1 and "rsa-sha2" in shown.text(), shown


@pytest.mark.parametrize("form", [None, "PEM", "PKCS8"])
def test_rsa_user_key(server, tmp_path, form):  # noqa: F811
    key = lab_ssh.keygen(tmp_path / "rsa", "rsa", form=form)
    server.allow(key)
    site = site_of(server, tmp_path / "p", private_key_file=key)
    if site.run("account", "test", "web").status == 0:
        pytest.skip("this libssh2 does rsa-sha2")
    refused(site, 4, "RSA", "rsa-sha2 needs libssh2 1.11")


def test_weak_algorithms_only(open_path, tmp_path):  # noqa: F811
    for more, word in (
            ("KexAlgorithms diffie-hellman-group14-sha1\n", "key exchange"),
            ("Ciphers aes256-cbc\n", "cipher"),
            ("MACs hmac-sha1\n", "MAC")):
        with lab_ssh.Sshd(open_path / word.replace(" ", "-"),
                          more=more) as server:
            site = site_of(server, tmp_path / word.replace(" ", "-"))
            refused(site, 1, word, more.split()[1])


# ---- who are we? -------------------------------------------------------------

def test_wrong_key(server, tmp_path):  # noqa: F811
    other = lab_ssh.keygen(tmp_path / "other")
    site = site_of(server, tmp_path / "p", private_key_file=other)
    refused(site, 4, "key refused")


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
@pytest.mark.parametrize("phrase", [None, "wrong"])
def test_wrong_passphrase(server, tmp_path, kind, phrase):  # noqa: F811
    key = lab_ssh.keygen(tmp_path / "locked", kind, "open sesame")
    server.allow(key)
    site = site_of(server, tmp_path / "p", private_key_file=key)
    if phrase:
        site.accounts["web"]["passphrase-file"] = site.secret_file(
            "phrase", phrase)
    error = refused(site, 4, "passphrase")
    assert "sesame" not in error["text"]


def test_garbage_key(server, tmp_path):  # noqa: F811
    for i, text in enumerate(("garbage", "-----BEGIN OPENSSH PRIVATE KEY-----"
                              "\nAAAA\n-----END OPENSSH PRIVATE KEY-----")):
        site = site_of(server, tmp_path / f"p{i}")
        site.accounts["web"]["private-key-file"] = site.secret_file(
            "garbage", text)
        refused(site, 4, "private-key")


def test_wrong_password(either, tmp_path):  # noqa: F811
    site = site_of(either, tmp_path / "p", private_key_file=None)
    site.accounts["web"]["password-file"] = site.secret_file(
        "password", "not-the-one-at-all")
    error = refused(site, 4, "password refused")
    assert "not-the-one" not in error["text"]
    # Once per command, not once per try: servers lock users out.
    if either.name == "sshd":
        assert either.output().count("Failed password") == 2


def test_key_others_can_read(server, tmp_path):  # noqa: F811
    os.chmod(server.userkey, 0o644)
    site = site_of(server, tmp_path / "p")
    done = site.run("present", *ACME, "--no-wait")
    assert done.status == 3 and "chmod" in done.text(), done


def test_agent_is_away(server, tmp_path):  # noqa: F811
    site = site_of(server, tmp_path / "p", private_key_file=None,
                   agent_socket=str(tmp_path / "none"))
    refused(site, 4, "agent")


@pytest.mark.parametrize("options, word", [
    ({"private_key_file": None}, "private-key"),
    ({"host": "a b"}, "host"), ({"host": ""}, "host"),
    ({"user": ""}, "user"), ({"root": ""}, "root"),
    ({"mode": "0999"}, "mode"), ({"port": 70000}, "port"),
    ({"host_key": "MD5:aa", "known_hosts_file": None}, "host-key"),
    ({"host_key": "SHA256:" + "A" * 43}, "host-key"),
    ({"host_key": "SHA256:short", "known_hosts_file": None}, "host-key")])
def test_configuration(tmp_path, options, word):
    site = lab.Placard(tmp_path / "p")
    key = site.secret_file("key", "x")
    settings = {"host": "h.example.test", "user": "u", "root": "/srv",
                "private_key_file": key, "known_hosts_file": "/dev/null"}
    settings.update(options)
    site.account("web", "sftp", **settings)
    done = site.run("account", "list")
    assert done.status == 3 and word in done.err, done


def test_other_accounts_have_no_host_key(tmp_path):
    site = lab.Placard(tmp_path / "p")
    site.account("web", "file", root=str(tmp_path))
    assert site.run("account", "show", "--host-key", "web").status == 2
    assert site.run("account", "test", "--host-key", "web").status == 2


# ---- the place ------------------------------------------------------------------

def test_root_missing(either, tmp_path):  # noqa: F811
    site = site_of(either, tmp_path / "p", root="/not-there")
    refused(site, 1, "/not-there", "no such file")
    assert os.listdir(either.jail) == ["htdocs"]


def test_root_is_a_file(server, tmp_path):  # noqa: F811
    with open(os.path.join(server.jail, "plain"), "w", encoding="ascii"):
        pass
    site = site_of(server, tmp_path / "p", root="/plain")
    assert site.run("account", "test", "web").status == 1


def test_root_that_is_not_ours(either, tmp_path):  # noqa: F811
    os.chown(either.root, 0, 0)
    site = site_of(either, tmp_path / "p")
    refused(site, 1, "permission denied")
    assert everything(either.root) == {}


def inside(server):  # noqa: F811
    """The document root as the server's namespace has it."""
    return os.path.join(f"/proc/{server.proc.pid}", "root", "mnt/htdocs")
    return os.path.join("/proc", str(server.proc.pid), "root", "mnt",
                        "htdocs")


@pytest.mark.parametrize("what, size", [("full", 0), ("filling", 2)])
def test_disk_full(open_path, tmp_path, what, size):  # noqa: F811
    """A small tmpfs; nothing half-written stays, nor does a directory."""
    mount = ("mount -t tmpfs -o size=16k,mode=755,"
             f"uid={lab_ssh.UID} none /mnt/htdocs; ")
    with lab_ssh.Sshd(open_path / "ssh", before=mount) as server:
        root = inside(server)
        if what == "full":
            with open(os.path.join(root, "theirs"), "wb") as out:
                out.write(b"x" * 16384)
        before = everything(root)
        site = site_of(server, tmp_path / "p")
        source = tmp_path / "content"
        source.write_bytes(b"y" * 60000)
        big = ["-m", "http-file", "-d", "www.example.test", "--path",
               "big.txt", "--content-file", source]
        done = site.json("present", *big, "--no-wait", "--timeout", "10")
        assert done.status == 1, done
        assert "full?" in done.challenges[0]["error"]["text"]
        assert everything(root) == before
        assert site.quiet_journal()
        assert size or site.run("account", "test", "web").status in (0, 1)


def test_read_only_file_system(open_path, tmp_path):  # noqa: F811
    with lab_ssh.Sshd(open_path / "ssh", before="mount -t tmpfs -o ro none "
                      "/mnt/htdocs; ") as server:
        refused(site_of(server, tmp_path / "p"), 1, "/htdocs")


@pytest.mark.parametrize("link", [".well-known",
                                  ".well-known/acme-challenge"])
def test_linked_directory(either, tmp_path, link):  # noqa: F811
    """As on this host: no link below the root is followed."""
    outside = os.path.join(either.jail, "outside")
    os.makedirs(os.path.join(outside, "acme-challenge"))
    for path in (outside, os.path.join(outside, "acme-challenge")):
        os.chown(path, lab_ssh.UID, lab_ssh.UID)
    path = os.path.join(either.root, link)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(outside, path)
    site = site_of(either, tmp_path / "p")
    done = site.json("present", *ACME, "--no-wait")
    assert done.status == 1, done
    assert lab.tree(outside) == {}
    site.run("cleanup", "--all")
    assert os.path.islink(path)


def test_link_in_the_place_of_the_file(either, tmp_path):  # noqa: F811
    seed(either, "x")
    os.unlink(either.root + URL)
    victim = os.path.join(either.root, "victim")
    with open(victim, "w", encoding="ascii") as out:
        out.write(AUTH)
    os.symlink("../../victim", either.root + URL)
    site = site_of(either, tmp_path / "p")
    done = site.json("present", *ACME, "--no-wait")
    # mod_sftp shows what a link leads to, so that it is there already.
    assert done.status == (0 if either.name == "proftpd" else 1), done
    site.run("cleanup", *ACME)
    assert os.path.islink(either.root + URL)
    with open(victim, encoding="ascii") as text:
        assert text.read() == AUTH


# ---- the network ----------------------------------------------------------------

def through(server, cutter, directory, **more):  # noqa: F811
    site = lab.Placard(directory)
    site.account("web", "sftp", **server.options(
        host=cutter.address, port=cutter.port, known_hosts_file=None,
        host_key=lab_ssh.fingerprint(server.hostkeys["ed25519"]), **more))
    site.route("example.test", "web")
    return site


@pytest.mark.parametrize("word", ["present", "cleanup"])
@pytest.mark.parametrize("how", ["cut", "silent"])
def test_connection_breaks_in_each_phase(server, tmp_path,  # noqa: F811
                                         soak, word, how):
    """Whatever it was, cleanup finds it later, and nothing else."""
    seed(server, "stranger")
    os.rename(server.root + URL, server.root + URL + "x")
    before = everything(server.root)
    with lab_ssh.Cutter(server) as cutter:
        site = through(server, cutter, tmp_path / "p", timeout=2)
        job = site.job_file(many(3))
        tell = {"present": ["present", "--jobs", job, "--no-wait",
                            "--timeout", "2"],
                "cleanup": ["cleanup", "--jobs", job, "--timeout", "2"]}
        if word == "cleanup":
            site.ok("present", "--jobs", job, "--no-wait")
            cutter.most = 0
        site.ok(*tell[word])
        whole = cutter.most
        site.ok("cleanup", "--all")
        assert everything(server.root) == before
        # What comes before the user is known is in the first half.
        few = 24 if soak else 7 if how == "cut" else 4
        broken = 0
        for i in range(few):
            if word == "cleanup":
                site.ok("present", "--jobs", job, "--no-wait")
            cutter.silent = how == "silent"
            cutter.limit = 10 + (whole - 20) * i // (few - 1)
            done = site.run(*tell[word], timeout=60)
            # The last octets are those of the farewell.
            late = cutter.limit > whole * 3 // 4
            assert done.status in ((0, 6, 7) if late else (6, 7)), (
                cutter.limit, done)
            broken += done.status != 0
            cutter.limit, cutter.silent = None, False
            site.ok("cleanup", "--all")
            assert everything(server.root) == before, i
            assert site.quiet_journal()
        assert broken >= few // 2


def test_nobody_listens(tmp_path, open_path):  # noqa: F811
    server = lab_ssh.Sshd(open_path / "ssh")
    site = site_of(server, tmp_path / "p")
    done = site.run("account", "test", "web")
    assert done.status == 6 and "refused" in done.err, done


def test_slow_server(server, tmp_path):  # noqa: F811
    """It accepts and says nothing: the deadline ends it."""
    site = site_of(server, tmp_path / "p", timeout=1)
    server.pause()
    try:
        done = site.run("account", "test", "web", timeout=60)
        assert done.status == 6 and "deadline" in done.err, done
        done = site.run("account", "show", "--host-key", "web", timeout=60)
        assert done.status == 6, done
    finally:
        server.resume()


class Talker(lab_ssh.Cutter):
    """Accepts and sends the same octets for ever, or once."""

    def __init__(self, data, endless):
        self.data, self.endless = data, endless
        self.address = "127.0.0.1"
        super().__init__(self)

    port = 0

    def _carry(self, near):
        with near:
            near.settimeout(0.5)
            while not self.end.is_set():
                try:
                    near.sendall(self.data)
                except OSError:
                    return
                if not self.endless:
                    self.end.wait(0.3)
                    return


@pytest.mark.parametrize("data, endless", [
    (b"no ssh here\r\n" * 100, True), (b"x" * 65536, True),
    (b"SSH-2.0-x\r\n" + bytes(4096), False),
    (b"SSH-2.0-x\r\n" + b"\xff" * 4096, False),
    (b"SSH-1.5-old\r\n", False), (b"", False)],
    ids=["lines", "flood", "zeros", "ones", "version-1", "closes"])
def test_not_an_ssh_server(server, tmp_path, data, endless):  # noqa: F811
    with Talker(data, endless) as liar:
        site = through(server, liar, tmp_path / "p", timeout=2)
        done = site.run("account", "test", "web", timeout=60)
        assert done.status in (1, 6), done


@pytest.mark.parametrize("text, word", [
    ("echo Welcome to this server; sleep 1", "greeting"),
    ("exit 0", "closed"),
    ("printf '\\000\\000\\000\\005\\002\\000\\000\\000\\006'; sleep 1",
     "greeting"),
    ("printf '\\377\\377\\377\\377xxxxx'; sleep 1", "greeting")])
def test_not_an_sftp_server(open_path, tmp_path, text, word):  # noqa: F811
    script = open_path / "subsystem"
    script.write_text("#!/bin/sh\n" + text + "\n")
    script.chmod(0o755)
    with lab_ssh.Sshd(open_path / "ssh", chroot=False,
                      subsystem=str(script)) as server:
        site = site_of(server, tmp_path / "p", timeout=3)
        done = site.run("account", "test", "web", timeout=60)
        assert done.status == 6 and word in done.err, done


# ---- kill -9 -----------------------------------------------------------------------

@pytest.mark.crash
@pytest.mark.parametrize("how", ["kill", "cut_power"])
@pytest.mark.parametrize("word", ["present", "cleanup"])
def test_killed_anywhere(server, tmp_path, soak, word, how):  # noqa: F811
    """At each thing sent, the upload, the rename; at each journal write."""
    before = everything(server.root)
    site = site_of(server, tmp_path / "p")
    job = site.job_file(many(2))
    present = ["present", "--jobs", job, "--no-wait"]
    args = present if word == "present" else ["cleanup", "--jobs", job]

    def setup():
        if word == "cleanup":
            site.ok(*present)

    def cleaned(where):
        done = site.run("cleanup", "--all")
        assert done.status == 0, (where, done)
        assert everything(server.root) == before, where
        assert site.quiet_journal(), where
    setup()
    most = Strace(site, args).count(JOURNAL + ["sendto"])
    cleaned("undisturbed")
    assert most["sendto"] > 10, most
    for call, count in sorted(most.items()):
        few = 12 if call == "sendto" else 3
        for number in points(count, soak, few):
            setup()
            getattr(Strace(site, args), how)(call, number)
            cleaned(f"{how} at {call} {number} of {count}")


def test_leftover_temporary_file_goes(server, tmp_path):  # noqa: F811
    """Killed between upload and rename: cleanup knows the name."""
    site = site_of(server, tmp_path / "p")
    args = ["present", *ACME, "--no-wait"]
    most = Strace(site, args).count(["sendto"])["sendto"]
    site.ok("cleanup", "--all")
    seen = 0
    for number in range(most, 5, -1):
        Strace(site, args).cut_power("sendto", number)
        found = [name for name in lab.tree(server.root)
                 if os.path.basename(name).startswith(".placard-")]
        seen += len(found)
        site.ok("cleanup", "--all")
        assert everything(server.root) == {}
        if seen:
            break
    assert seen, "no kill left a temporary file: nothing is tested"


def test_modes_of_what_was_left(server, tmp_path):  # noqa: F811
    """A stranger's file that looks like a temporary one stays."""
    folder = os.path.dirname(server.root + URL)
    os.makedirs(folder)
    path = os.path.join(folder, ".placard-abcdefghijkl")
    with open(path, "w", encoding="ascii") as out:
        out.write("theirs")
    for one in (folder, os.path.dirname(folder), path):
        os.chown(one, lab_ssh.UID, lab_ssh.UID)
    site = site_of(server, tmp_path / "p")
    site.ok("present", *ACME, "--no-wait")
    site.ok("cleanup", *ACME)
    assert stat.S_ISREG(os.stat(path).st_mode)
