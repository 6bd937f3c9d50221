# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Files below a document root, served by a real nginx."""

import os
import stat

import pytest

import lab

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
AUTH = TOKEN + ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
URL = "/.well-known/acme-challenge/" + TOKEN
ACME = ["-m", "http-01", "-d", "www.example.test", "--token", TOKEN,
        "--key-authorization", AUTH]
PKI = "/.well-known/pki-validation/33E7A9F0123456789ABCDEF012345678.txt"


@pytest.fixture
def site(web, tmp_path):
    placard = lab.Placard(tmp_path / "p")
    placard.account("web", "file", root=web.root)
    placard.route("example.test", "web")
    placard.web = web
    return placard


@pytest.mark.quick
def test_http_01(site):
    done = site.json("present", *ACME, "--no-wait")
    assert done.status == 0, done
    one, = done.report["challenges"]
    assert one["state"] == "published" and one["account"] == "web"
    assert site.web.fetch(URL) == (200, AUTH.encode())
    site.ok("cleanup", *ACME)
    assert lab.tree(site.web.root) == {}
    assert site.web.fetch(URL)[0] == 404
    assert site.quiet_journal()


@pytest.mark.parametrize("content", [
    b"one line", b"one line\n", b"crlf\r\nline\r\n", b" ",
    "snow \u2603 man\n".encode(), b"x" * 65536],
    ids=["plain", "newline", "crlf", "blank", "utf8", "64k"])
def test_bytes_exactly_as_given(site, content):
    source = os.path.join(site.dir, "content")
    with open(source, "wb") as out:
        out.write(content)
    what = ["-m", "http-file", "-d", "www.example.test", "--path", PKI,
            "--content-file", source]
    done = site.run("present", *what, "--no-wait")
    assert done.status == 0, done
    assert site.web.fetch(PKI) == (200, content)
    site.ok("cleanup", *what)
    assert lab.tree(site.web.root) == {}


def test_default_folder(site):
    what = ["-m", "http-file", "-d", "www.example.test", "--path",
            "fileauth.txt", "--content", "abc"]
    site.ok("present", *what, "--no-wait")
    assert lab.tree(site.web.root) == {
        ".well-known/pki-validation/fileauth.txt": b"abc"}
    site.ok("cleanup", *what)
    assert lab.tree(site.web.root) == {}


def test_strangers_files_stay(site):
    folder = os.path.join(site.web.root, ".well-known", "acme-challenge")
    os.makedirs(folder)
    for name in ("other", TOKEN + "x"):
        with open(os.path.join(folder, name), "w", encoding="ascii") as out:
            out.write("stranger")
    before = lab.tree(site.web.root)
    site.ok("present", *ACME, "--no-wait")
    site.ok("cleanup", *ACME)
    assert lab.tree(site.web.root) == before


def test_already_there_stays(site):
    folder = os.path.join(site.web.root, ".well-known", "acme-challenge")
    os.makedirs(folder)
    with open(os.path.join(folder, TOKEN), "w", encoding="ascii") as out:
        out.write(AUTH)
    before = lab.tree(site.web.root)
    site.ok("present", *ACME, "--no-wait")
    site.ok("cleanup", *ACME)
    assert lab.tree(site.web.root) == before


def test_already_gone(site):
    site.ok("present", *ACME, "--no-wait")
    os.unlink(site.web.root + URL)
    site.ok("cleanup", *ACME)
    assert site.quiet_journal()


def test_mode(site):
    site.account("web", "file", root=site.web.root, mode="0640")
    site.ok("present", *ACME, "--no-wait")
    assert stat.S_IMODE(os.stat(site.web.root + URL).st_mode) == 0o640


def test_the_web_server_can_read_it_whatever_the_umask(site):
    done = site.run("present", *ACME, "--no-wait",
                    wrap=["/bin/sh", "-c", 'umask 077; exec "$@"', "sh"])
    assert done.status == 0, done
    mode = os.stat(site.web.root + URL).st_mode
    assert mode & stat.S_IROTH
    folder = os.path.dirname(site.web.root + URL)
    while folder != site.web.root:
        assert os.stat(folder).st_mode & stat.S_IXOTH, folder
        folder = os.path.dirname(folder)


def test_every_account_of_the_route_gets_it(site, tmp_path):
    roots = [str(tmp_path / name) for name in ("one", "two", "three")]
    for i, root in enumerate(roots):
        os.mkdir(root)
        site.account(f"w{i}", "file", root=root)
    site.route("www.example.test", "w0", "w1", "w2", method="http-01")
    site.ok("present", *ACME, "--no-wait")
    for root in roots:
        assert lab.tree(root) == {URL[1:]: AUTH.encode()}
    site.ok("cleanup", *ACME)
    for root in roots:
        assert lab.tree(root) == {}


@pytest.mark.big
def test_a_thousand_files(site):
    job = site.job_file(lab.job(*(
        {"method": "http-01", "domain": f"h{i}.example.test", "token":
         f"token-{i:04d}-0123456789", "key-authorization":
         f"token-{i:04d}-0123456789.thumb"} for i in range(1000))))
    site.ok("present", "--jobs", job, "--no-wait")
    assert len(lab.tree(site.web.root)) == 1000
    site.ok("cleanup", "--job", "t")
    assert lab.tree(site.web.root) == {}


def test_two_commands_at_once(site):
    site.write()
    asks = [["-m", "http-01", "-d", f"h{i}.example.test", "--token",
             f"token-{i}-0123456789", "--key-authorization",
             f"token-{i}-0123456789.thumb"] for i in range(5)]
    for word, more in (("present", ["--no-wait"]), ("cleanup", [])):
        running = [site.popen(word, *ask, *more) for ask in asks]
        for proc in running:
            done = site.finish(proc)
            assert done.status == 0, done
        assert len(lab.tree(site.web.root)) == (
            5 if word == "present" else 0)
