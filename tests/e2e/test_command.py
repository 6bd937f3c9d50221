# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The command as a user and as a script meet it."""

import json
import os
import re
import subprocess

import pytest

import lab
import lab_schema

COMMANDS = ["present", "verify", "cleanup", "run", "list", "account",
            "provider"]
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
PROGRESS = re.compile(r"\b\d+ (of|/) ?\d+\b|\b\d+/\d+\b")


# -- words

@pytest.mark.quick
def test_version(placard):
    done = placard.bare("--version")
    assert done.status == 0, done
    assert re.match(r"^placard \d+\.\d+", done.out) and done.err == ""


@pytest.mark.parametrize("name", ["placard", "placardd"])
def test_links_what_it_needs(placard, name):
    """Each library costs every start; libcurl alone brings thirty."""
    path = os.path.join(os.path.dirname(placard.program()), name)
    listed = subprocess.run(["readelf", "-d", path], capture_output=True,
                            text=True, check=True).stdout
    needed = set(re.findall(r"NEEDED.*\[(lib[a-z0-9]+)", listed))
    assert "libsqlite3" in needed
    assert not needed & {"libcurl", "libldns", "libunbound", "libssh2",
                         "libexpat", "libssl"}


def test_help(placard):
    done = placard.bare("--help")
    assert done.status == 0, done
    for word in COMMANDS:
        assert word in done.out, word


@pytest.mark.parametrize("word", COMMANDS)
def test_help_of_a_command_fits_a_screen(placard, word):
    done = placard.bare(word, "--help")
    assert done.status == 0, done
    lines = done.out.splitlines()
    assert 3 <= len(lines) <= 24, len(lines)
    assert max(map(len, lines)) <= 80
    assert word in done.out


def test_help_and_version_need_no_configuration(placard):
    placard.environ["PLACARD_CONFIG"] = placard.write("no such { thing")
    assert placard.bare("--help").status == 0
    assert placard.bare("--version").status == 0


def test_configuration_by_environment(bed):
    bed.placard.write()
    program = bed.placard.program()
    env = {"PLACARD_CONFIG": bed.placard.config}
    argv = bed.placard.argv
    bed.placard.argv = lambda args, wrap=(): [program, *args]
    done = bed.placard.run("account", "list", env=env)
    bed.placard.argv = argv
    assert done.status == 0 and "lab" in done.out, done


def test_include(bed):
    folder = os.path.join(bed.placard.dir, "conf.d")
    os.mkdir(folder)
    path = os.path.join(folder, "lab.conf")
    text = bed.placard.text()
    head, rest = text.split("\n", 1)
    with open(path, "w", encoding="utf-8") as out:
        out.write(rest)
    bed.placard.write(f'{head}\ninclude("{path}")\n')
    bed.placard.ok("present", *bed.dns01(), "--no-wait")
    bed.placard.ok("cleanup", "--all")
    bed.unchanged()


# -- output

@pytest.mark.quick
def test_results_on_stdout_rest_on_stderr(bed):
    done = bed.placard.ok("present", *bed.dns01())
    assert bed.zone in done.out
    assert not CONTROL.search(done.out + done.err), done
    done = bed.placard.ok("-q", "cleanup", *bed.dns01())
    assert done.err == "", done


def test_verbose_says_more(bed):
    quiet = bed.placard.ok("present", *bed.dns01("a"))
    loud = bed.placard.ok("-v", "present", *bed.dns01("b"))
    assert len(loud.err) > len(quiet.err)


def test_plain_output_names_each_server(bed):
    done = bed.placard.ok("present", *bed.dns01())
    assert lab.mentions(done.out, bed.primary)
    assert lab.mentions(done.out, bed.secondary)
    assert "present" in done.out


def test_json_is_one_object_a_line(bed):
    jobs = bed.placard.job_file(*(
        lab.job(lab.dns01(f"h{i}.{bed.zone}", str(i)), name=f"job-{i}")
        for i in range(20)))
    done = bed.placard.json("present", "--jobs", jobs)
    assert done.status == 0, done
    assert len(done.lines) == 20
    assert {r["job"] for r in done.reports} == {
        f"job-{i}" for i in range(20)}
    done = bed.placard.json("cleanup", "--jobs", jobs)
    assert {r["state"] for r in done.reports} == {"removed"}


def test_no_wait_is_published(bed):
    done = bed.placard.json("present", *bed.dns01(), "--no-wait")
    assert done.status == 0, done
    one, = done.report["challenges"]
    assert one["state"] == "published" and one["visible"] is None
    assert one["verdicts"] == []


def test_progress_on_a_terminal(bed):
    bed.secondary.pause()
    try:
        done = bed.placard.tty("present", *bed.dns01(), "--timeout", "4")
    finally:
        bed.secondary.resume()
    assert done.status == 5, done
    assert PROGRESS.search(done.err), done
    assert lab.mentions(done.err, bed.secondary), "whom it waits for"


def test_no_progress_in_a_pipe(bed):
    bed.secondary.pause()
    try:
        done = bed.placard.run("present", *bed.dns01(), "--timeout", "4")
    finally:
        bed.secondary.resume()
    assert done.status == 5, done
    assert not PROGRESS.search(done.err), done
    assert not CONTROL.search(done.err), done


def test_quiet_on_a_terminal(bed):
    bed.secondary.pause()
    try:
        done = bed.placard.tty("-q", "present", *bed.dns01(), "--timeout",
                               "4")
    finally:
        bed.secondary.resume()
    assert not PROGRESS.search(done.err), done


# -- dry run

@pytest.mark.quick
def test_dry_run_changes_nothing(bed):
    before = bed.primary.updates()
    for word in ("present", "cleanup"):
        done = bed.placard.run(word, *bed.dns01(), "--dry-run")
        assert done.status == 0, done
        assert bed.owner in done.text(), "it says what it would do"
    assert bed.primary.updates() == before
    bed.unchanged()
    assert bed.placard.quiet_journal()


def test_dry_run_of_run_runs_nothing(bed, tmp_path):
    mark = tmp_path / "mark"
    done = bed.placard.run("run", *bed.dns01(), "--dry-run", "--",
                           "/usr/bin/touch", str(mark))
    assert done.status == 0, done
    assert not mark.exists()
    bed.unchanged()


def test_dry_run_of_a_file(web, tmp_path):
    placard = lab.Placard(tmp_path / "p")
    placard.account("web", "file", root=web.root)
    done = placard.run("present", "-a", "web", "-m", "http-01", "-d",
                       "www.example.test", "--token", "tok_0123456789abcdef",
                       "--key-authorization", "tok_0123456789abcdef.x",
                       "--dry-run")
    assert done.status == 0, done
    assert lab.tree(web.root) == {} and os.listdir(web.root) == []


# -- list and cleanup

@pytest.mark.quick
def test_list(bed):
    assert bed.placard.listed() == []
    bed.placard.ok("present", *bed.dns01("a"), "--no-wait")
    bed.placard.ok("present", *bed.dns01("b", "www." + bed.zone),
                   "--no-wait")
    text = bed.placard.ok("list").out
    assert bed.owner in text and "_acme-challenge.www." + bed.zone in text
    assert text.count("lab") >= 2
    done = bed.placard.ok("--json", "list")
    assert len(done.lines) == 2
    for line in done.lines:
        one = lab_schema.loads(line)
        assert "lab" in json.dumps(one) and bed.zone in json.dumps(one)
    bed.placard.ok("cleanup", "--all")
    assert bed.placard.listed() == []
    bed.unchanged()


def test_cleanup_job(bed):
    jobs = bed.placard.job_file(
        lab.job(lab.dns01(bed.zone, "a"), name="one"),
        lab.job(lab.dns01(bed.zone, "b"), name="two"))
    bed.placard.ok("present", "--jobs", jobs, "--no-wait")
    bed.placard.ok("cleanup", "--job", "one")
    assert bed.texts() == [lab.value("b")]
    bed.placard.ok("cleanup", "--job", "two")
    bed.unchanged()


def test_cleanup_older_than(bed):
    bed.placard.ok("present", *bed.dns01("a"), "--no-wait")
    bed.placard.ok("cleanup", "--older-than", "2h")
    assert bed.texts() == [lab.value("a")]
    bed.placard.ok("cleanup", "--older-than", "30m")
    assert bed.texts() == [lab.value("a")]

    def old_enough():
        bed.placard.ok("cleanup", "--older-than", "1s")
        return not bed.texts()
    lab.wait_for(old_enough, "a second has gone", gap=0.3)
    bed.unchanged()


def test_cleanup_all_over_accounts(bed, web):
    bed.placard.account("web", "file", root=web.root)
    bed.placard.route("www." + bed.zone, "web", method="http-01")
    bed.placard.ok("present", *bed.dns01("a"), "--no-wait")
    bed.placard.ok("present", "-m", "http-01", "-d", "www." + bed.zone,
                   "--token", "tok_0123456789abcdef", "--key-authorization",
                   "tok_0123456789abcdef.x", "--no-wait")
    assert len(bed.placard.listed()) == 2
    bed.placard.ok("cleanup", "--all")
    bed.unchanged()
    assert lab.tree(web.root) == {}
    assert bed.placard.quiet_journal()


def test_persistent_state_directory_is_private(bed):
    bed.placard.ok("present", *bed.dns01("a"), "--no-wait")
    for folder, _, names in os.walk(bed.placard.state):
        for name in names:
            mode = os.stat(os.path.join(folder, name)).st_mode
            assert mode & 0o077 == 0, f"{name}: {mode:o}"


# -- run

@pytest.mark.quick
@pytest.mark.parametrize("status", [0, 1, 5, 7, 42, 255])
def test_run_ends_as_the_command_did(bed, status):
    done = bed.placard.run("run", *bed.dns01(), "--", "/bin/sh", "-c",
                           f"exit {status}")
    assert done.status == status, done
    bed.unchanged()
    assert bed.placard.quiet_journal()


def test_run_shows_the_record_to_the_command(bed):
    done = bed.placard.ok(
        "run", *bed.dns01(), "--", "/usr/bin/dig", "+short",
        "@" + bed.primary.address, "-p", str(bed.primary.port), bed.owner,
        "TXT")
    assert f'"{lab.value("x")}"' in done.out
    bed.unchanged()


def test_run_passes_arguments_as_they_are(bed):
    odd = ["a b", "$HOME", "*", "--", "-m", "'", '"', ""]
    done = bed.placard.ok("run", *bed.dns01(), "--",
                          "/usr/bin/printf", "<%s>", *odd)
    assert "".join(f"<{a}>" for a in odd) in done.out


def test_run_with_a_command_that_is_killed(bed):
    done = bed.placard.run("run", *bed.dns01(), "--", "/bin/sh", "-c",
                           "kill -9 $$")
    assert done.status == 128 + 9, done
    bed.unchanged()


def test_run_without_such_a_command(bed):
    done = bed.placard.run("run", *bed.dns01(), "--", "/no/such/program")
    assert done.status != 0 and "/no/such/program" in done.err, done
    bed.unchanged()


def test_run_does_not_start_what_is_not_visible(bed, tmp_path):
    mark = tmp_path / "mark"
    bed.placard.servers(bed.primary.where(),
                        f"127.0.0.1:{lab.closed_port()}")
    done = bed.placard.run("run", *bed.dns01(), "--timeout", "2", "--",
                           "/usr/bin/touch", str(mark))
    assert done.status == 5, done
    assert not mark.exists()
    bed.unchanged()


def test_run_with_jobs(bed):
    job = bed.placard.job_file(lab.job(*(
        lab.dns01(f"h{i}.{bed.zone}", str(i)) for i in range(30))))
    done = bed.placard.run("run", "--jobs", job, "--", "/bin/sh", "-c",
                           "exit 3")
    assert done.status == 3, done
    bed.unchanged()


# -- accounts and providers

def test_account_list_and_show(bed, tmp_path):
    bed.placard.account("web", "file", root=str(tmp_path))
    done = bed.placard.ok("account", "list")
    for word in ("lab", "rfc2136", "web", "file"):
        assert word in done.out
    done = bed.placard.ok("account", "show", "lab")
    assert "rfc2136" in done.out and bed.primary.where() in done.out
    assert bed.primary.key.secret not in done.text()
    for line in bed.placard.ok("--json", "account", "list").lines:
        assert isinstance(lab_schema.loads(line), dict)
    done = bed.placard.json("account", "show", "lab")
    assert bed.primary.key.secret not in done.text()


def test_account_test(bed):
    updates = bed.primary.updates()
    bed.placard.ok("account", "test", "lab")
    bed.unchanged()
    assert bed.primary.serial(bed.zone) == 1
    assert bed.primary.updates() - updates <= 1
    bed.placard.rfc2136("bad", bed.primary, key=lab.Key(
        bed.primary.key.name))
    bed.placard.rfc2136("dead", bed.primary, timeout=1, server=(
        f"127.0.0.1:{lab.closed_port()}"))
    bed.placard.write()
    assert bed.placard.run("account", "test", "bad").status == 4
    assert bed.placard.run("account", "test", "dead").status == 6


def test_account_test_of_a_root(placard, tmp_path):
    placard.account("web", "file", root=str(tmp_path))
    placard.account("none", "file", root=str(tmp_path / "none"))
    placard.ok("account", "test", "web")
    assert placard.run("account", "test", "none").status != 0


def test_provider_list_and_show(placard):
    placard.write("")
    done = placard.ok("provider", "list")
    for word in ("rfc2136", "file"):
        assert re.search(rf"\b{word}\b", done.out)
    done = placard.ok("provider", "show", "rfc2136")
    for option in ("server", "zone", "key-name", "key-algorithm",
                   "key-secret", "timeout", "ttl"):
        assert re.search(rf"\b{option}\b", done.out), option
    done = placard.ok("provider", "show", "file")
    for option in ("root", "mode"):
        assert re.search(rf"\b{option}\b", done.out), option
    for line in placard.ok("--json", "provider", "list").lines:
        assert isinstance(lab_schema.loads(line), dict)
