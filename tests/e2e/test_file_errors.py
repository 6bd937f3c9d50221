# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Document roots that set traps."""

import os

import pytest

import lab
from test_file import ACME, AUTH, TOKEN, URL


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def site(root, tmp_path):
    placard = lab.Placard(tmp_path / "p")
    placard.account("web", "file", root=str(root))
    placard.route("example.test", "web")
    return placard


@pytest.mark.quick
@pytest.mark.parametrize("link", [".well-known",
                                  ".well-known/acme-challenge"])
def test_linked_directory(site, root, tmp_path, link):
    outside = tmp_path / "outside"
    (outside / "acme-challenge").mkdir(parents=True)
    (root / link).parent.mkdir(exist_ok=True)
    (root / link).symlink_to(outside)
    done = site.json("present", *ACME, "--no-wait")
    assert done.status == 1, done
    assert lab.tree(outside) == {}
    assert done.challenges[0]["state"] == "failed"


def test_link_in_the_place_of_the_file(site, root, tmp_path):
    (root / ".well-known/acme-challenge").mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (root / URL[1:]).symlink_to(victim)
    site.run("present", *ACME, "--no-wait")
    site.run("cleanup", *ACME)
    assert victim.read_text() == "precious"
    assert (root / URL[1:]).is_symlink()


def test_dangling_link(site, root, tmp_path):
    (root / ".well-known/acme-challenge").mkdir(parents=True)
    (root / URL[1:]).symlink_to(tmp_path / "not-there")
    site.run("present", *ACME, "--no-wait")
    assert not (tmp_path / "not-there").exists()


def test_strangers_file_with_our_name(site, root):
    (root / ".well-known/acme-challenge").mkdir(parents=True)
    (root / URL[1:]).write_text("not ours")
    done = site.json("present", *ACME, "--no-wait")
    assert done.status == 1, done
    site.run("cleanup", *ACME)
    assert (root / URL[1:]).read_text() == "not ours"


def test_changed_by_somebody_since(site, root):
    """Removed only if it is ours: its content no longer is."""
    site.ok("present", *ACME, "--no-wait")
    (root / URL[1:]).write_text("changed")
    site.run("cleanup", *ACME)
    assert (root / URL[1:]).read_text() == "changed"


def test_hard_link(site, root, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (root / ".well-known/acme-challenge").mkdir(parents=True)
    os.link(victim, root / URL[1:])
    site.run("present", *ACME, "--no-wait")
    site.run("cleanup", *ACME)
    assert victim.read_text() == "precious"


def test_directory_in_the_place_of_the_file(site, root):
    (root / URL[1:]).mkdir(parents=True)
    done = site.json("present", *ACME, "--no-wait")
    assert done.status == 1, done
    assert (root / URL[1:]).is_dir()


def test_file_in_the_place_of_a_directory(site, root):
    (root / ".well-known").write_text("a file")
    done = site.json("present", *ACME, "--no-wait")
    assert done.status == 1, done
    assert lab.tree(root) == {".well-known": b"a file"}


def test_no_such_root(site, root):
    root.rmdir()
    done = site.json("present", *ACME, "--no-wait", "--timeout", "5")
    assert done.status in (1, 3, 6), done
    assert str(root) in done.text()
    assert not root.exists()


def test_file_account_takes_no_record(site):
    done = site.json("present", "-m", "dns-01", "-d", "www.example.test",
                     "--value", lab.value(), "-a", "web", "--no-wait")
    assert done.status in (1, 3), done


def test_wildcard_has_no_file(site, root):
    done = site.run("present", "-m", "http-01", "-d", "*.example.test",
                    "--token", TOKEN, "--key-authorization", AUTH,
                    "--no-wait")
    assert done.status in (1, 2), done
    assert lab.tree(root) == {}


@pytest.mark.quick
@pytest.mark.parametrize("token", [
    "..", ".", "a/b", "../x", "a\\b", "", "a b", "a.b", "x" * 300, "a%2fb",
    "a\nb", "é", "-\r"])
def test_token_alphabet(site, root, token):
    done = site.run("present", "-m", "http-01", "-d", "www.example.test",
                    "--token", token, "--key-authorization", token + ".t",
                    "--no-wait")
    assert done.status in (1, 2), done
    assert lab.tree(root.parent / "root") == {}


@pytest.mark.quick
@pytest.mark.parametrize("path", [
    "/etc/passwd", "/.well-known/../x", "/.well-known/pki-validation/../x",
    "/.well-known/pki-validation/", "/.well-known/pki-validation/a/b",
    "//.well-known/pki-validation/a", "/.well-known/x y", "/.well-known",
    "/.well-known/pki-validation/.", "/.well-known/pki-validation/..",
    "http://h/.well-known/pki-validation/a", "/.well-known/a\rb", "../a",
    "/index.html", "/.WELL-KNOWN/pki-validation/a.txt?x"])
def test_path_outside(site, root, path):
    done = site.run("present", "-m", "http-file", "-d", "www.example.test",
                    "--path", path, "--content", "x", "--no-wait")
    assert done.status in (1, 2), done
    assert lab.tree(root) == {}
