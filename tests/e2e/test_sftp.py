# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Files on other hosts: a real sshd, ProFTPD's mod_sftp, nginx on top."""

import os
import pathlib
import shutil
import stat
import subprocess
import tempfile

import pytest

import lab
import lab_ssh
from test_file import ACME, AUTH, PKI, URL

pytestmark = pytest.mark.skipif(os.geteuid() != 0,
                                reason="sshd and its users want root")


@pytest.fixture
def open_path():
    """A folder that other users can walk through.

    Not below pytest's own, which every new pytest closes to others again.
    """
    path = pathlib.Path(tempfile.mkdtemp(prefix="placard-ssh-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def server(open_path):
    with lab_ssh.Sshd(open_path / "ssh") as one:
        yield one


@pytest.fixture(params=["sshd", "proftpd"])
def either(request, open_path):
    kind = {"sshd": lab_ssh.Sshd, "proftpd": lab_ssh.Proftpd}[request.param]
    with kind(open_path / "ssh") as one:
        yield one


def site_of(server, directory, **more):
    placard = lab.Placard(directory)
    placard.account("web", "sftp", **server.options(**more))
    placard.route("example.test", "web")
    return placard


def everything(root):
    """All files and directories below root, with what tells them apart."""
    found = {}
    for folder, dirs, names in os.walk(root):
        for name in dirs + names:
            path = os.path.join(folder, name)
            body = None
            if name in names:
                with open(path, "rb") as one:
                    body = one.read()
            found[os.path.relpath(path, root)] = body
    return found


def many(count, domain="example.test"):
    return lab.job(*(
        {"method": "http-01", "domain": f"h{i}.{domain}",
         "token": f"token-{i:04d}-0123456789",
         "key-authorization": f"token-{i:04d}-0123456789.thumb"}
        for i in range(count)))


def test_life(either, tmp_path):
    site = site_of(either, tmp_path / "p")
    done = site.json("present", *ACME, "--no-wait")
    assert done.status == 0, done
    one, = done.report["challenges"]
    assert one["state"] == "published" and one["scope"] == either.where()
    assert lab.tree(either.root) == {URL[1:]: AUTH.encode()}
    mode = os.stat(either.root + URL).st_mode
    assert stat.S_IMODE(mode) == 0o644
    assert stat.S_IMODE(os.stat(os.path.dirname(
        either.root + URL)).st_mode) == 0o755
    site.ok("cleanup", *ACME)
    assert everything(either.root) == {}
    assert site.quiet_journal()


def test_visible_through_nginx(server, tmp_path):
    where = f"{lab.own_address()}"
    port = lab.free_port(where)
    with lab.Nginx(tmp_path / "web",
                   {f"{where}:{port}": server.root}):
        site = site_of(server, tmp_path / "p")
        site.verify["http-servers"] = [f"{where}:{port}"]
        done = site.json("present", *ACME, "--timeout", "30")
        assert done.status == 0, done
        one, = done.challenges
        assert one["state"] == "visible", done
        assert [v["answer"] for v in one["verdicts"]] == ["present"]
        site.ok("cleanup", *ACME)
        assert everything(server.root) == {}


@pytest.mark.parametrize("content", [
    b"one line", b"crlf\r\nline\r\n", b" ", b"x" * 32768, b"x" * 32769,
    b"y" * 65536], ids=["plain", "crlf", "blank", "32k", "32k1", "64k"])
def test_bytes_exactly_as_given(either, tmp_path, content):
    site = site_of(either, tmp_path / "p")
    source = tmp_path / "content"
    source.write_bytes(content)
    what = ["-m", "http-file", "-d", "www.example.test", "--path", PKI,
            "--content-file", source]
    site.ok("present", *what, "--no-wait")
    assert lab.tree(either.root) == {PKI[1:]: content}
    site.ok("cleanup", *what)
    assert everything(either.root) == {}


def test_many_files_over_one_connection(either, tmp_path):
    site = site_of(either, tmp_path / "p")
    job = site.job_file(many(200))
    site.ok("present", "--jobs", job, "--no-wait")
    assert len(lab.tree(either.root)) == 200
    site.ok("cleanup", "--job", "t")
    assert everything(either.root) == {}


def test_strangers_stay(either, tmp_path):
    folder = os.path.join(either.root, ".well-known", "acme-challenge")
    os.makedirs(folder)
    for path in (folder, os.path.dirname(folder)):
        os.chown(path, lab_ssh.UID, lab_ssh.UID)
    with open(os.path.join(folder, "other"), "w", encoding="ascii") as out:
        out.write("stranger")
    before = everything(either.root)
    site = site_of(either, tmp_path / "p")
    site.ok("present", *ACME, "--no-wait")
    site.ok("cleanup", *ACME)
    assert everything(either.root) == before


def test_empty_directories_of_others_stay(either, tmp_path):
    folder = os.path.join(either.root, ".well-known")
    os.makedirs(folder)
    os.chown(folder, lab_ssh.UID, lab_ssh.UID)
    site = site_of(either, tmp_path / "p")
    site.ok("present", *ACME, "--no-wait")
    site.ok("cleanup", *ACME)
    assert everything(either.root) == {".well-known": None}


def seed(server, content):
    """A file of somebody else's under our name."""
    folder = os.path.dirname(server.root + URL)
    os.makedirs(folder)
    for path in (folder, os.path.dirname(folder)):
        os.chown(path, lab_ssh.UID, lab_ssh.UID)
    with open(server.root + URL, "w", encoding="ascii") as out:
        out.write(content)
    os.chown(server.root + URL, lab_ssh.UID, lab_ssh.UID)
    return everything(server.root)


def test_already_there_stays(either, tmp_path):
    before = seed(either, AUTH)
    site = site_of(either, tmp_path / "p")
    site.ok("present", *ACME, "--no-wait")
    site.ok("cleanup", *ACME)
    assert everything(either.root) == before


@pytest.mark.parametrize("content", ["not ours", AUTH[:-1] + "X", AUTH + "X",
                                     ""])
def test_strangers_file_with_our_name(either, tmp_path, content):
    before = seed(either, content)
    site = site_of(either, tmp_path / "p")
    done = site.json("present", *ACME, "--no-wait")
    assert done.status == 1, done
    site.run("cleanup", *ACME)
    assert everything(either.root) == before


def test_changed_by_somebody_since(either, tmp_path):
    site = site_of(either, tmp_path / "p")
    site.ok("present", *ACME, "--no-wait")
    with open(either.root + URL, "w", encoding="ascii") as out:
        out.write("changed")
    site.ok("cleanup", *ACME)
    assert lab.tree(either.root) == {URL[1:]: b"changed"}


def test_already_gone(either, tmp_path):
    site = site_of(either, tmp_path / "p")
    site.ok("present", *ACME, "--no-wait")
    os.unlink(either.root + URL)
    site.ok("cleanup", *ACME)
    assert everything(either.root) == {}
    assert site.quiet_journal()


def test_last_of_several_commands_takes_the_directories(either, tmp_path):
    """Each file was published and removed by a process of its own."""
    site = site_of(either, tmp_path / "p")
    asks = [["-m", "http-01", "-d", f"h{i}.example.test", "--token",
             f"token-{i}-0123456789", "--key-authorization",
             f"token-{i}-0123456789.thumb"] for i in range(3)]
    asks.append(["-m", "http-file", "-d", "h.example.test", "--path", PKI,
                 "--content", "abc"])
    for ask in asks:
        site.ok("present", *ask, "--no-wait")
    for ask in asks:
        site.ok("cleanup", *ask)
    assert everything(either.root) == {}


def test_two_commands_at_once(server, tmp_path):
    site = site_of(server, tmp_path / "p")
    site.write()
    asks = [["-m", "http-01", "-d", f"h{i}.example.test", "--token",
             f"token-{i}-0123456789", "--key-authorization",
             f"token-{i}-0123456789.thumb"] for i in range(4)]
    for word, more in (("present", ["--no-wait"]), ("cleanup", [])):
        running = [site.popen(word, *ask, *more) for ask in asks]
        for proc in running:
            done = site.finish(proc)
            assert done.status == 0, done
    assert everything(server.root) == {}


def test_mode(either, tmp_path):
    site = site_of(either, tmp_path / "p", mode="0640")
    site.ok("present", *ACME, "--no-wait")
    assert stat.S_IMODE(os.stat(either.root + URL).st_mode) == 0o640


def test_mode_in_spite_of_the_servers_umask(open_path, tmp_path):
    with lab_ssh.Sshd(open_path / "ssh",
                      subsystem="internal-sftp -u 077") as server:
        site = site_of(server, tmp_path / "p")
        site.ok("present", *ACME, "--no-wait")
        assert stat.S_IMODE(os.stat(server.root + URL).st_mode) == 0o644
        folder = os.path.dirname(server.root + URL)
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o755


@pytest.mark.parametrize("without", [
    "rename", "posix-rename", "fsync", "posix-rename,fsync,lsetstat,statvfs"])
def test_servers_that_know_less(open_path, tmp_path, without):
    """internal-sftp can be told to refuse requests."""
    with lab_ssh.Sshd(open_path / "ssh",
                      subsystem=f"internal-sftp -P {without}") as server:
        site = site_of(server, tmp_path / "p")
        site.ok("present", *ACME, "--no-wait")
        assert lab.tree(server.root) == {URL[1:]: AUTH.encode()}
        site.ok("cleanup", *ACME)
        assert everything(server.root) == {}


def test_windows_paths(open_path, tmp_path):
    r"""C:\inetpub\wwwroot is /C:/inetpub/wwwroot over SFTP."""
    with lab_ssh.Sshd(open_path / "ssh") as server:
        drive = os.path.join(server.jail, "C:", "inetpub", "wwwroot")
        os.makedirs(drive)
        os.chown(drive, lab_ssh.UID, lab_ssh.UID)
        for root in ("/C:/inetpub/wwwroot", r"C:\inetpub\wwwroot"):
            site = site_of(server, tmp_path / "p", root=root)
            site.write()
            site.ok("present", *ACME, "--no-wait")
            assert lab.tree(drive) == {URL[1:]: AUTH.encode()}
            site.ok("cleanup", *ACME)
            assert everything(drive) == {}


def test_web_config(either, tmp_path):
    """A neighbour for IIS comes with the first and goes with the last."""
    site = site_of(either, tmp_path / "p", web_config=True)
    first = ["-m", "http-01", "-d", "a.example.test", "--token",
             "token-a-0123456789", "--key-authorization", "token-a.thumb"]
    first[-1] = "token-a-0123456789.thumb"
    site.ok("present", *first, "--no-wait")
    site.ok("present", *ACME, "--no-wait")
    path = os.path.join(os.path.dirname(either.root + URL), "web.config")
    with open(path, encoding="utf-8") as text:
        assert 'mimeMap fileExtension="."' in text.read()
    site.ok("cleanup", *first)
    assert os.path.exists(path)
    site.ok("cleanup", *ACME)
    assert everything(either.root) == {}


def test_web_config_of_somebody_else(either, tmp_path):
    seed(either, "x")
    os.unlink(either.root + URL)
    path = os.path.join(os.path.dirname(either.root + URL), "web.config")
    with open(path, "w", encoding="ascii") as out:
        out.write("<theirs/>")
    before = everything(either.root)
    site = site_of(either, tmp_path / "p", web_config=True)
    site.ok("present", *ACME, "--no-wait")
    site.ok("cleanup", *ACME)
    assert everything(either.root) == before


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_user_keys(server, tmp_path, kind):
    for phrase in ("", "open sesame"):
        key = lab_ssh.keygen(tmp_path / f"k{len(phrase)}", kind, phrase)
        server.allow(key)
        site = site_of(server, tmp_path / "p", private_key_file=key)
        if phrase:
            site.accounts["web"]["passphrase-file"] = site.secret_file(
                "phrase", phrase)
        site.write()
        site.ok("account", "test", "web")


def test_password(either, tmp_path):
    site = site_of(either, tmp_path / "p", private_key_file=None)
    site.accounts["web"]["password-file"] = site.secret_file(
        "password", lab_ssh.PASSWORD)
    site.ok("account", "test", "web")
    assert everything(either.root) == {}


@pytest.mark.parametrize("more", [
    "KbdInteractiveAuthentication yes\nPasswordAuthentication no\n",
    "KbdInteractiveAuthentication yes\nAuthenticationMethods "
    "publickey,keyboard-interactive\n",
    "AuthenticationMethods publickey,password\n"],
    ids=["prompt", "key-and-prompt", "key-and-password"])
def test_other_ways_to_log_in(open_path, tmp_path, more):
    with lab_ssh.Sshd(open_path / "ssh", more=more) as server:
        site = site_of(server, tmp_path / "p")
        if "publickey" not in more:
            del site.accounts["web"]["private-key-file"]
        site.accounts["web"]["password-file"] = site.secret_file(
            "password", lab_ssh.PASSWORD)
        site.ok("account", "test", "web")


def test_agent(server, tmp_path):
    sock = tmp_path / "agent"
    agent = subprocess.Popen([lab.find_program("ssh-agent"), "-D", "-a",
                              str(sock)], stdout=subprocess.DEVNULL)
    try:
        lab.wait_for(sock.exists, "agent")
        subprocess.run([lab.find_program("ssh-add"), "-q", server.userkey],
                       env={"SSH_AUTH_SOCK": str(sock)}, check=True)
        site = site_of(server, tmp_path / "p", private_key_file=None,
                       agent_socket=str(sock))
        site.ok("account", "test", "web")
    finally:
        agent.terminate()
        agent.wait()


def test_known_hosts_of_all_kinds(open_path, tmp_path):
    with lab_ssh.Sshd(open_path / "ssh",
                      kinds=("ed25519", "ecdsa", "rsa")) as server:
        name = server.name_in_file
        ed, ec = server.hostkeys["ed25519"], server.hostkeys["ecdsa"]
        texts = {
            "plain": lab_ssh.host_line(ed, name),
            "only-ecdsa": lab_ssh.host_line(ec, name),
            "list": lab_ssh.host_line(ed, f"other,{name},third"),
            "wildcard": lab_ssh.host_line(ed, "[127.*]:*"),
            "comment": "# a comment\n\n" + lab_ssh.host_line(ed, name),
            "no-newline": lab_ssh.host_line(ed, name).rstrip("\n"),
            "crlf": lab_ssh.host_line(ed, name).replace("\n", "\r\n"),
            "authority": "@cert-authority * ssh-ed25519 AAAA\n" +
                         lab_ssh.host_line(ed, name)}
        for title, text in texts.items():
            path = tmp_path / title
            path.write_text(text)
            site = site_of(server, tmp_path / "p",
                           known_hosts_file=str(path))
            site.write()
            done = site.run("account", "test", "web")
            assert done.status == 0, (title, done)
        hashed = tmp_path / "plain"
        subprocess.run([lab.find_program("ssh-keygen"), "-q", "-H", "-f",
                        str(hashed)], check=True, stderr=subprocess.DEVNULL)
        assert "|1|" in hashed.read_text()
        site = site_of(server, tmp_path / "p", known_hosts_file=str(hashed))
        site.write()
        site.ok("account", "test", "web")
        for kind in ("ed25519", "ecdsa"):
            site = site_of(server, tmp_path / "p", known_hosts_file=None,
                           host_key=lab_ssh.fingerprint(
                               server.hostkeys[kind]))
            site.write()
            site.ok("account", "test", "web")


def test_account_test_leaves_nothing(either, tmp_path):
    site = site_of(either, tmp_path / "p")
    before = os.stat(either.root).st_ino
    done = site.json("account", "test", "web")
    assert done.status == 0 and done.objects == [
        {"account": "web", "works": True}]
    assert everything(either.root) == {}
    assert os.stat(either.root).st_ino == before


def test_host_key_is_shown(open_path, tmp_path):
    """What a person compares; and what is shown can be pasted."""
    with lab_ssh.Sshd(open_path / "ssh",
                      kinds=("ed25519", "ecdsa")) as server:
        site = site_of(server, tmp_path / "p", known_hosts_file=None)
        done = site.ok("account", "show", "--host-key", "web")
        for kind in ("ed25519", "ecdsa"):
            assert lab_ssh.fingerprint(server.hostkeys[kind]) in done.out
        line = [one for one in done.lines if one.startswith("[")][0]
        shown = site.json("account", "show", "--host-key", "web")
        keys = shown.objects[0]["host-keys"]
        assert {k["fingerprint"] for k in keys} == {
            lab_ssh.fingerprint(k) for k in server.hostkeys.values()}
        assert "Accepted" not in server.output()
        # Nothing was learnt.
        assert site.run("account", "test", "web").status == 3
        path = tmp_path / "known"
        path.write_text(line + "\n")
        site = site_of(server, tmp_path / "p", known_hosts_file=str(path))
        site.write()
        site.ok("account", "test", "web")


def test_ipv6_and_ipv4_are_raced(open_path, tmp_path, namespace):
    """Of two addresses the one that answers is taken."""
    hosts = tmp_path / "hosts"
    with lab_ssh.Sshd(open_path / "ssh", address="127.0.0.1") as server:
        # ::1 refuses at that port; the name leads to both.
        port = lab_ssh.host_line(server.hostkeys["ed25519"],
                                 f"[localhost]:{server.port}")
        hosts.write_text(port)
        site = site_of(server, tmp_path / "p", host="localhost",
                       known_hosts_file=str(hosts))
        site.ok("account", "test", "web")


def test_one_connection_for_a_job(server, tmp_path):
    site = site_of(server, tmp_path / "p")
    job = site.job_file(many(100))
    site.ok("present", "--jobs", job, "--no-wait")
    assert server.output().count("Accepted publickey") == 1


def several(open_path, tmp_path, count=3):
    servers = [lab_ssh.Sshd(open_path / f"ssh{i}") for i in range(count)]
    site = lab.Placard(tmp_path / "p")
    for i, one in enumerate(servers):
        site.account(f"w{i}", "sftp", **one.options())
    site.route("example.test", *(f"w{i}" for i in range(count)))
    return servers, site


def test_every_host_gets_it(open_path, tmp_path):
    servers, site = several(open_path, tmp_path)
    with servers[0], servers[1], servers[2]:
        done = site.json("present", *ACME, "--no-wait")
        assert done.status == 0, done
        for one in servers:
            assert lab.tree(one.root) == {URL[1:]: AUTH.encode()}
        site.ok("cleanup", *ACME)
        for one in servers:
            assert everything(one.root) == {}


def test_one_failing_host_fails_it_and_all_are_cleaned(open_path, tmp_path):
    servers, site = several(open_path, tmp_path)
    with servers[0], servers[1], servers[2]:
        os.chmod(servers[1].root, 0o555)
        done = site.json("present", *ACME, "--no-wait", "--timeout", "20")
        assert done.status == 1, done
        one, = done.challenges
        assert one["state"] == "failed"
        assert "w1" in one["error"]["text"]
        for one in servers:
            assert everything(one.root) == {}
        assert site.quiet_journal()


def test_a_host_that_is_away(open_path, tmp_path):
    servers, site = several(open_path, tmp_path, 2)
    with servers[0], servers[1]:
        servers[1].stop()
        done = site.json("present", *ACME, "--no-wait", "--timeout", "3")
        assert done.status == 6, done
        assert done.challenges[0]["state"] == "failed"
        assert "w1" in done.challenges[0]["error"]["text"]
        assert everything(servers[0].root) == {}


def test_verdicts_of_each_host(open_path, tmp_path):
    """The file is visible when every address of the name has it."""
    servers, site = several(open_path, tmp_path, 2)
    with servers[0], servers[1]:
        sites = {}
        for one in servers:
            address = lab.own_address()
            sites[f"{address}:{lab.free_port(address)}"] = one.root
        with lab.Nginx(tmp_path / "web", sites):
            site.verify["http-servers"] = list(sites)
            done = site.json("present", *ACME, "--timeout", "30")
            assert done.status == 0, done
            verdicts = done.challenges[0]["verdicts"]
            assert [v["answer"] for v in verdicts] == ["present", "present"]
            os.unlink(servers[1].root + URL)
            done = site.json("verify", *ACME)
            assert done.status == 5, done
            assert sorted(v["answer"] for v in
                          done.challenges[0]["verdicts"]) == [
                              "absent", "present"]
            site.ok("cleanup", *ACME)
            for one in servers:
                assert everything(one.root) == {}
