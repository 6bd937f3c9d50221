# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard service without a container: the unit, status, refusals."""

import json
import os
import re
import subprocess
import urllib.request

import pytest

import lab
from lab_daemon import Daemon
from lab_placard import ROOT


@pytest.fixture
def unit(tmp_path):
    """The unit as it is installed, with a program that is there."""
    with open(os.path.join(ROOT, "contrib", "placardd.service.in"),
              encoding="utf-8") as text:
        path = tmp_path / "placardd.service"
        path.write_text(text.read().replace("@sbindir@/placardd",
                                            "/bin/true"))
    return str(path)


def analyze(*args):
    try:
        program = lab.find_program("systemd-analyze")
    except lab.LabError:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run([program, *args], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


def test_exposure_of_the_unit(unit):
    done = analyze("security", "--offline=true", "--threshold=15", unit)
    assert done.returncode == 0, done.stdout[-400:]


def test_the_unit_is_in_order(unit):
    done = analyze("verify", "--man=no", unit)
    assert done.returncode == 0, done.stdout
    assert done.stdout.strip() == "", done.stdout


def test_status(bed):
    done = bed.placard.run("service", "status")
    assert done.status == 6 and "placardd" in done.err, done
    with Daemon(bed.placard) as daemon:
        done = bed.placard.json("service", "status")
        assert done.status == 0, done
        seen = json.loads(done.out)
        assert seen["pid"] == daemon.proc.pid and seen["jobs"] == 0
        assert seen["trouble"] is None
        assert "runs as process" in bed.placard.ok("service", "status").out


@pytest.mark.parametrize("words", [
    [], ["restart"], ["install", "more"], ["start", "--purge"],
    ["uninstall", "--agent-key-file", "x"]])
def test_usage(placard, words):
    done = placard.run("service", *words)
    assert done.status == 2, done


@pytest.mark.parametrize("word", ["install", "uninstall", "start", "stop"])
def test_only_root(placard, word):
    def become():
        os.setgid(65534)
        os.setuid(65534)
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    build = placard.program()
    done = subprocess.run([build, "service", word], preexec_fn=become,
                          env={"PATH": "/usr/bin:/bin"}, text=True,
                          stderr=subprocess.PIPE, cwd="/", check=False)
    if done.returncode == 126 or "ermission denied" in done.stderr:
        pytest.skip("the build cannot be reached by others")
    assert done.returncode == 3 and "only root" in done.stderr, done


@pytest.fixture
def complete(placard):
    """What bash would offer, asked of the functions themselves."""
    path = os.path.join(ROOT, "contrib", "placard.bash-completion")

    def offered(*words):
        script = (f'PATH="{placard.build}:$PATH"; . "{path}"; '
                  f"COMP_WORDS=({' '.join(repr(w) for w in words)}); "
                  f'COMP_CWORD={len(words) - 1}; _{words[0]}; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", script], text=True,
                              stdout=subprocess.PIPE, check=True,
                              env=placard.env())
        return set(done.stdout.split())
    return offered


def test_completion(complete):
    assert "present" in complete("placard", "pre")
    assert complete("placard", "job", "su") == {"submit"}
    assert complete("placard", "-c", "x", "service", "u") == {"uninstall"}
    assert "--timeout" in complete("placard", "present", "--time")
    assert complete("placard", "present", "-m", "http-0") == {"http-01"}
    assert complete("placard", "hook", "le") == {"lego"}
    assert complete("placardd", "--te") == {"--test"}


def test_completion_knows_what_there_is(placard, complete):
    """Commands, options and words as the help has them: no more, no less."""
    top = placard.ok("--help").out
    commands = set(re.findall(r"^  ([a-z]+) ", top, re.M))
    assert complete("placard", "") - commands == {
        "--config", "--json", "--quiet", "--verbose", "--help", "--version"}
    worded = 0
    for command in commands:
        text = placard.ok(command, "--help").out
        assert complete("placard", command, "--") == set(
            re.findall(r"--[a-z][a-z-]*", text)), command
        offered = complete("placard", command, "")
        if command == "hook":
            assert offered == set(re.findall(
                r"[a-z_.]+", text.split("TOOL is ")[1].split(";")[0])) - {
                    "or"}
        elif offered:
            worded += 1
            usage = text.split("\n")[0] if command != "order" else \
                text.split("this text\n")[1].split("METHOD:")[0]
            bar = r"\| " if command == "order" else r"\| ?"
            words = set(re.findall(
                r"(?:^|" + bar + "|" + command + r" )([a-z]+)\b", usage,
                re.M)) - {"usage"}
            assert offered == words, command
    assert worded == 7
    text = subprocess.run([placard.program("placardd"), "--help"], text=True,
                          stdout=subprocess.PIPE, check=True).stdout
    assert complete("placardd", "--") == set(
        re.findall(r"--[a-z]+", text))


def test_dashboard_asks_for_what_there_is(bed):
    """Every metric of the dashboard is one that placardd tells."""
    with open(os.path.join(ROOT, "contrib", "placard-dashboard.json"),
              encoding="utf-8") as text:
        board = json.load(text)
    asked = set()
    for panel in board["panels"]:
        for target in panel["targets"]:
            for word in target["expr"].replace("(", " ").replace(
                    "[", " ").replace(")", " ").split():
                if word.startswith("placard_"):
                    asked.add(word)
    port = lab.free_port("127.0.0.1")
    with Daemon(bed.placard, {"metrics-listen":
                              f"127.0.0.1:{port}"}) as daemon:
        daemon.submit(lab.job(lab.dns01(bed.zone, "d"), name="d",
                              hold="until-visible"))
        daemon.wait("d")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/metrics",
                         timeout=20) as answer:
            told = answer.read().decode()
    assert asked
    for name in asked:
        base = name.removesuffix("_bucket")
        assert f"# TYPE {base} " in told, name
