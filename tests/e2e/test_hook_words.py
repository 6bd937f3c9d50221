# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard hook TOOL, called as each tool calls it, word by word."""

import os
import signal
import subprocess
import time

import pytest

import lab

THUMB = "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"


def value(seed):
    return lab.value(seed)


def names(bed):
    return sorted(bed.primary.texts(bed.owner))


@pytest.fixture
def web_bed(bed, web):
    """Files as well: the zone's names are served by nginx."""
    bed.web = web
    bed.placard.account("web", "file", root=web.root)
    bed.placard.routes.clear()
    bed.placard.route(bed.zone, "lab", method="dns-01")
    bed.placard.route(bed.zone, "web", method="http-01")
    bed.placard.verify.update({"http-servers": [web.site],
                               "site-local": True})
    return bed


# -- certbot

def certbot(bed, seed, left=0, word=None, output=None, **more):
    env = {"CERTBOT_DOMAIN": bed.zone, "CERTBOT_VALIDATION": value(seed),
           "CERTBOT_ALL_DOMAINS": f"{bed.zone},{bed.zone}",
           "CERTBOT_REMAINING_CHALLENGES": str(left)}
    if output is not None:
        env["CERTBOT_AUTH_OUTPUT"] = output
    return bed.placard.run("hook", "certbot", *([word] if word else []),
                           env=env | more)


def test_certbot_waits_once_for_the_whole_set(bed):
    """The first call returns although no server but the primary could ever
    show it; the last one waits for both values."""
    bed.placard.servers(bed.primary.where(), "127.0.0.1:%d" %
                        lab.closed_port())
    bed.placard.write()
    first = certbot(bed, "a", left=1)
    assert first.status == 0, first
    assert names(bed) == [value("a")]
    last = bed.placard.run(
        "hook", "--timeout", "1", "certbot", env={
            "CERTBOT_DOMAIN": bed.zone, "CERTBOT_VALIDATION": value("b"),
            "CERTBOT_ALL_DOMAINS": f"{bed.zone},{bed.zone}",
            "CERTBOT_REMAINING_CHALLENGES": "0"})
    assert last.status == 5, last
    # certbot goes on and cleans up: both stay until then
    assert names(bed) == sorted([value("a"), value("b")])
    bed.placard.servers(bed.primary.where(), bed.secondary.where())
    bed.placard.write()
    assert certbot(bed, "b").status == 0
    states = {one["value"]: one["state"] for one in
              bed.placard.json("list").objects}
    assert states == {value("a"): "visible", value("b"): "visible"}
    for seed in "ab":
        assert certbot(bed, seed, word="cleanup").status == 0
    bed.unchanged()
    assert bed.placard.quiet_journal()


def test_certbot_last_call_fails_where_an_earlier_value_is_missing(bed):
    assert certbot(bed, "a", left=1).status == 0
    bed.primary.update(bed.zone, delete=[(bed.owner + ".", "TXT", None)])
    done = bed.placard.run(
        "hook", "--timeout", "1", "certbot", "auth", env={
            "CERTBOT_DOMAIN": bed.zone, "CERTBOT_VALIDATION": value("b"),
            "CERTBOT_ALL_DOMAINS": f"{bed.zone},{bed.zone}",
            "CERTBOT_REMAINING_CHALLENGES": "0"})
    assert done.status == 7, done
    assert certbot(bed, "a", word="cleanup").status == 0
    assert certbot(bed, "b", word="cleanup").status == 0
    bed.unchanged()


def test_certbot_cleans_by_value(bed):
    bed.seed("a stranger's")
    outputs = {}
    for left, seed in ((1, "a"), (0, "b")):
        done = certbot(bed, seed, left=left)
        assert done.status == 0, done
        outputs[seed] = done.out.strip()
    assert names(bed) == sorted([value("a"), value("b"), "a stranger's"])
    done = certbot(bed, "a", left=1, output=outputs["a"])
    assert done.status == 0 and done.out == "", done
    assert names(bed) == sorted([value("b"), "a stranger's"])
    assert certbot(bed, "b", output=outputs["b"]).status == 0
    bed.unchanged()
    assert bed.placard.quiet_journal()


def test_certbot_output_of_another_challenge_is_no_cleanup(bed):
    done = certbot(bed, "a")
    again = certbot(bed, "b", output=done.out.strip())
    assert again.status == 0, again
    assert names(bed) == sorted([value("a"), value("b")])
    for seed in "ab":
        certbot(bed, seed, word="cleanup")
    bed.unchanged()


@pytest.mark.parametrize("output", ["", "whatever a wrapper said"])
def test_certbot_foreign_output_is_a_cleanup(bed, output):
    certbot(bed, "a")
    assert certbot(bed, "a", output=output).status == 0
    bed.unchanged()


def test_certbot_http(web_bed):
    env = {"CERTBOT_DOMAIN": f"www.{web_bed.zone}", "CERTBOT_TOKEN": "tok_1",
           "CERTBOT_VALIDATION": f"tok_1.{THUMB}",
           "CERTBOT_ALL_DOMAINS": f"www.{web_bed.zone}",
           "CERTBOT_REMAINING_CHALLENGES": "0"}
    before = lab.tree(web_bed.web.root)
    done = web_bed.placard.run("hook", "certbot", env=env)
    assert done.status == 0, done
    assert web_bed.web.fetch("/.well-known/acme-challenge/tok_1") == (
        200, f"tok_1.{THUMB}".encode())
    env["CERTBOT_AUTH_OUTPUT"] = done.out.strip()
    assert web_bed.placard.run("hook", "certbot", env=env).status == 0
    assert lab.tree(web_bed.web.root) == before
    assert os.listdir(web_bed.web.root) == []


# -- dehydrated

def test_dehydrated_chain_is_one_update(bed):
    words = []
    for i in range(5):
        words += [f"n{i}.{bed.zone}", f"token{i}", value(i)]
    count = bed.primary.updates()
    done = bed.placard.run("hook", "dehydrated", "deploy_challenge", *words)
    assert done.status == 0 and done.out == "", done
    assert bed.primary.updates() == count + 1
    for i in range(5):
        assert bed.primary.texts(
            f"_acme-challenge.n{i}.{bed.zone}") == [value(i)]
        assert bed.secondary.texts(
            f"_acme-challenge.n{i}.{bed.zone}") == [value(i)]
    assert bed.placard.run("hook", "dehydrated", "clean_challenge",
                           *words).status == 0
    bed.unchanged()


@pytest.mark.parametrize("words", [
    ["this_hookscript_is_broken__dehydrated_is_working_fine__please_ignore_"
     "unknown_hooks_in_your_script"],
    ["startup_hook"], ["exit_hook"], ["exit_hook", "some error"],
    ["deploy_cert", "d", "k", "c", "f", "h", "1"],
    ["unchanged_cert", "d", "k", "c", "f", "h"],
    ["invalid_challenge", "d", "why"], ["generate_csr", "d", "dir", "d e"],
    ["request_failure", "400", "reason", "post", "headers"],
    ["sync_cert", "k", "c", "f", "h", "csr"],
    ["deploy_ocsp", "d", "file", "1"]])
def test_dehydrated_ignores_the_rest(bed, words):
    done = bed.placard.run("hook", "dehydrated", *words)
    assert done.status == 0 and done.out == "" and done.err == "", done
    bed.unchanged()


def test_dehydrated_guesses_the_type(web_bed):
    """Without CHALLENGETYPE the form of the value tells."""
    words = [f"www.{web_bed.zone}", "tok", f"tok.{THUMB}",
             web_bed.zone, "tok2", value("x")]
    run = web_bed.placard.run
    assert run("hook", "dehydrated", "deploy_challenge", *words).status == 0
    assert list(lab.tree(web_bed.web.root)) == [
        ".well-known/acme-challenge/tok"]
    assert names(web_bed) == [value("x")]
    assert run("hook", "dehydrated", "clean_challenge", *words).status == 0
    assert os.listdir(web_bed.web.root) == []
    web_bed.unchanged()


def test_dehydrated_own_file_stays(web_bed):
    """It writes the file by itself before it calls the hook."""
    folder = os.path.join(web_bed.web.root, ".well-known/acme-challenge")
    os.makedirs(folder)
    for path in (os.path.dirname(folder), folder):
        os.chmod(path, 0o755)
    path = os.path.join(folder, "tok")
    with open(path, "w", encoding="ascii") as out:
        out.write(f"tok.{THUMB}")
    os.chmod(path, 0o644)
    words = [f"www.{web_bed.zone}", "tok", f"tok.{THUMB}"]
    env = {"CHALLENGETYPE": "http-01"}
    for word in ("deploy_challenge", "clean_challenge"):
        done = web_bed.placard.run("hook", "dehydrated", word, *words,
                                   env=env)
        assert done.status == 0, done
        assert os.path.exists(path)


# -- uacme

def test_uacme(web_bed):
    run = web_bed.placard.run
    dns = ["dns-01", web_bed.zone, "tok", value("u")]
    http = ["http-01", f"www.{web_bed.zone}", "tok", f"tok.{THUMB}"]
    for words in (dns, http):
        done = run("hook", "uacme", "begin", *words)
        assert done.status == 0 and done.out == "", done
    assert names(web_bed) == [value("u")]
    assert web_bed.web.fetch("/.well-known/acme-challenge/tok")[0] == 200
    assert run("hook", "uacme", "done", *dns).status == 0
    assert run("hook", "uacme", "failed", *http).status == 0
    assert os.listdir(web_bed.web.root) == []
    web_bed.unchanged()


def test_uacme_declines(bed):
    """Another type, and a method that no account serves."""
    run = bed.placard.run
    words = ["tls-alpn-01", bed.zone, "tok", value("x")]
    done = run("hook", "uacme", "begin", *words)
    assert done.status == 1 and done.err == "", done
    assert run("hook", "uacme", "failed", *words).status == 0
    done = run("hook", "uacme", "begin", "http-01", bed.zone, "tok",
               f"tok.{THUMB}")
    assert done.status > 0, done
    assert len(done.err.splitlines()) == 1, done
    bed.unchanged()


def test_failed_begin_is_taken_back(bed):
    """uacme never says done or failed for what was declined."""
    bed.placard.servers(bed.primary.where(), "127.0.0.1:%d" %
                        lab.closed_port())
    bed.placard.write()
    done = bed.placard.run("hook", "--timeout", "1", "uacme", "begin",
                           "dns-01", bed.zone, "tok", value("x"))
    assert done.status == 5, done
    bed.unchanged()
    assert bed.placard.quiet_journal()


# -- lego

def test_lego_modes(bed):
    run = bed.placard.run
    keyauth = f"tok.{THUMB}"
    default = [bed.owner + ".", value("l")]
    raw = ["--", bed.zone + ".", "tok", keyauth]
    assert run("hook", "lego", "present", *default).status == 0
    assert run("hook", "lego", "present", *raw).status == 0
    assert len(names(bed)) == 2 and value("l") in names(bed)
    raw[1] = bed.zone
    assert run("hook", "lego", "cleanup", *raw).status == 0
    assert names(bed) == [value("l")]
    assert run("hook", "lego", "cleanup", *default).status == 0
    bed.unchanged()


def test_lego_raw_computes_the_digest(bed):
    import base64
    import hashlib
    keyauth = f"tok.{THUMB}"
    digest = base64.urlsafe_b64encode(hashlib.sha256(
        keyauth.encode()).digest()).rstrip(b"=").decode()
    words = ["--", bed.zone, "tok", keyauth]
    assert bed.placard.run("hook", "lego", "present", *words).status == 0
    assert names(bed) == [digest]
    assert bed.placard.run("hook", "lego", "cleanup", *words).status == 0
    bed.unchanged()


def test_lego_alias_target_must_be_allowed(bed):
    words = [f"target.{bed.zone}.", value("l")]
    done = bed.placard.run("hook", "lego", "present", *words)
    assert done.status == 2, done
    assert f"target.{bed.zone}" in done.err
    bed.unchanged()
    bed.placard.accounts["lab"]["allow-names"] = ["target"]
    bed.placard.write()
    done = bed.placard.run("hook", "lego", "present", *words)
    assert done.status == 0, done
    assert bed.primary.texts(f"target.{bed.zone}") == [value("l")]
    assert bed.placard.run("hook", "lego", "cleanup", *words).status == 0
    bed.unchanged()


# -- mod_md

def test_mod_md_versions(bed):
    run = bed.placard.run
    for seed in "ab":
        assert run("hook", "mod_md", "setup", bed.zone,
                   value(seed)).status == 0
    assert run("hook", "mod_md", "teardown", bed.zone,
               value("a")).status == 0
    assert names(bed) == [value("b")]
    assert run("hook", "mod_md", "setup", bed.zone, value("a")).status == 0
    # version 1 names no value: all of ours, and none of anybody else's
    assert certbot(bed, "c").status == 0
    bed.primary.seed(bed.zone, bed.owner, "stranger")
    assert run("hook", "mod_md", "teardown", bed.zone).status == 0
    assert names(bed) == sorted([value("c"), "stranger"])
    assert run("hook", "mod_md", "teardown", bed.zone).status == 0
    certbot(bed, "c", word="cleanup")
    bed.primary.update(bed.zone, delete=[(bed.owner + ".", "TXT", None)])
    bed.unchanged()


@pytest.mark.parametrize("words", [["renewed", "example.com"],
                                   ["challenge-setup:dns-01:a.b", "a.b"]])
def test_mod_md_messages_are_never_vetoed(bed, words):
    assert bed.placard.run("hook", "mod_md", *words).status == 0
    bed.unchanged()


# -- acme.sh

def test_acme_sh_file(bed):
    """The file that --print writes, in a plain shell."""
    text = bed.placard.ok("hook", "acme.sh", "--print").out
    path = os.path.join(bed.placard.dir, "dns_placard.sh")
    with open(path, "w", encoding="ascii") as out:
        out.write(text)

    def shell(line):
        return subprocess.run(
            ["/bin/sh", "-euc", f". '{path}'; {line}"], text=True,
            env=bed.placard.env(), capture_output=True, check=False)
    name = bed.owner
    for seed in "ab":
        done = shell(f"dns_placard_add {name} {value(seed)}")
        assert done.returncode == 0 and done.stdout == "", done
    assert names(bed) == sorted([value("a"), value("b")])
    assert shell(f"dns_placard_rm {name} {value('a')}").returncode == 0
    assert names(bed) == [value("b")]
    assert shell(f"dns_placard_rm {name} {value('b')}").returncode == 0
    assert shell("echo \"$dns_placard_info\"").stdout.startswith("placard")
    assert shell(f"dns_placard_add {name} short").returncode != 0
    bed.unchanged()


# -- all of them

def test_wrong_words_are_usage(bed):
    for words in (["certbot"], ["dehydrated"],
                  ["dehydrated", "deploy_challenge", "d", "t"],
                  ["uacme", "begin", "dns-01"], ["uacme", "end", "dns-01",
                                                 "a.b", "t", value("x")],
                  ["lego", "present", "x"], ["lego", "timeout"],
                  ["lego", "present", "++", bed.zone, "t", "t.x"],
                  ["mod_md", "setup", bed.zone], ["acme.sh", "add", "x"],
                  ["acme.sh"], ["getssl"], ["certbot", "auth", "more"]):
        done = bed.placard.run("hook", *words)
        assert done.status == 2 and done.err.startswith("placard: "), done
    bed.unchanged()


def test_link_is_the_tool(bed):
    link = os.path.join(bed.placard.dir, "hook-uacme")
    os.symlink(bed.placard.program(), link)
    bed.placard.write()
    env = bed.placard.env({"PLACARD_CONFIG": bed.placard.config})
    words = ["dns-01", bed.zone, "tok", value("x")]
    done = subprocess.run([link, "begin", *words], env=env, check=False)
    assert done.returncode == 0
    assert names(bed) == [value("x")]
    done = subprocess.run([link, "done", *words], env=env, check=False)
    assert done.returncode == 0
    bed.unchanged()


def test_dry_run_changes_nothing(bed):
    done = bed.placard.run("hook", "--dry-run", "uacme", "begin", "dns-01",
                           bed.zone, "tok", value("x"))
    assert done.status == 0 and bed.owner in done.out, done
    bed.unchanged()
    assert not os.path.exists(os.path.join(bed.placard.state, "journal.db"))


def test_stopped_hook_takes_back(bed):
    bed.placard.servers(bed.primary.where(), "127.0.0.1:%d" %
                        lab.closed_port())
    bed.placard.write()
    proc = bed.placard.popen("hook", "uacme", "begin", "dns-01", bed.zone,
                             "tok", value("x"))
    lab.wait_for(lambda: names(bed), "published")
    proc.send_signal(signal.SIGTERM)
    done = bed.placard.finish(proc)
    assert done.status == 6, done
    bed.unchanged()
    assert bed.placard.quiet_journal()


def test_killed_hook_and_cleanup_older_than(bed):
    bed.placard.servers(bed.primary.where(), "127.0.0.1:%d" %
                        lab.closed_port())
    bed.placard.write()
    proc = bed.placard.popen("hook", "uacme", "begin", "dns-01", bed.zone,
                             "tok", value("x"))
    lab.wait_for(lambda: names(bed), "published")
    lab.kill_tree(proc.pid)
    bed.placard.finish(proc)
    assert names(bed) == [value("x")]
    time.sleep(1.1)
    assert bed.placard.run("cleanup", "--older-than", "1s").status == 0
    bed.unchanged()
    assert bed.placard.quiet_journal()


def test_json_reports(bed):
    done = bed.placard.json("hook", "lego", "present", bed.owner + ".",
                            value("j"))
    assert done.status == 0 and done.report["state"] == "visible", done
    assert bed.placard.run("hook", "lego", "cleanup", bed.owner + ".",
                           value("j")).status == 0
    bed.unchanged()
