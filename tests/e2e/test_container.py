# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The Debian package in a container that systemd boots.

systemd-nspawn boots a small Debian without a network (lab_tree) and leaves it
to container/steps.sh.  With --soak debootstrap makes the system, and the
package is built as a release is.
"""

import glob
import json
import os
import re
import shutil
import subprocess

import pytest

import lab
import lab_tree
from lab_placard import ROOT

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = ["systemd", "procps", "ca-certificates", "passwd", "libcurl4",
            "libexpat1", "libidn2-0", "libjansson4", "libldns3", "libpsl5",
            "libsqlite3-0", "libssh2-1", "libssl3", "libunbound8"]
UNIT = """[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/sh /placard-steps.sh
StandardOutput=file:/results.out
StandardError=inherit
TimeoutStartSec=400
[Install]
WantedBy=multi-user.target
"""


def call(argv, what, timeout=600, **more):
    done = subprocess.run(argv, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout,
                          check=False, **more)
    assert done.returncode == 0, \
        f"{what}: {done.stdout[-3000:].decode(errors='replace')}"


@pytest.fixture(scope="module")
def package(soak, tmp_path_factory):
    """The .deb of this tree; without --soak not optimised, which is quicker."""
    lab_tree.need("dpkg-buildpackage", "dh")
    base = tmp_path_factory.mktemp("deb")
    source = base / "placard"
    names = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", ROOT, "ls-files", "-z"],
        stdout=subprocess.PIPE, check=False).stdout.decode().split("\0")
    if names == [""]:
        pytest.skip("no git tree to build a package from")
    for name in filter(None, names):
        if os.path.isfile(os.path.join(ROOT, name)):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(os.path.join(ROOT, name), source / name)
    options = "parallel=2" if soak else "parallel=2 noopt nostrip"
    call(["dpkg-buildpackage", "-us", "-uc", "-b"], "dpkg-buildpackage",
         cwd=source, env=os.environ | {"DEB_BUILD_OPTIONS": options})
    found = glob.glob(str(base / "placard_*.deb"))
    assert len(found) == 1, os.listdir(base)
    yield found[0]
    shutil.rmtree(base)


@pytest.fixture(scope="module")
def results(soak, package, tmp_path_factory):
    """What each step said, and its status: {name: text}."""
    lab_tree.need("systemd-nspawn")
    if not os.path.exists(os.path.join(ROOT, "Makefile")):
        pytest.skip("nothing is built at the top of the source tree")
    if os.geteuid() != 0:
        pytest.skip("only root can boot a container")
    tree = str(tmp_path_factory.mktemp("machine") / "tree")
    try:
        if soak:
            lab_tree.debootstrap(tree, PACKAGES)
        else:
            lab_tree.from_installed(tree, PACKAGES)
        try_nspawn(tree)
        prepare(tree, package)
        boot(tree)
        # The same machine without systemd, as in a plain container.
        nspawn(tree, "/bin/sh", "/placard-steps.sh", "without")
        yield collect(tree)
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def nspawn(tree, *words):
    done = subprocess.run(
        [lab.find_program("systemd-nspawn"), "--quiet", "--register=no",
         "--keep-unit", "--private-network", "--console=pipe", "-D", tree,
         *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=120, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def try_nspawn(tree):
    status, text = nspawn(tree, "/bin/true")
    if status != 0:
        pytest.skip(f"systemd-nspawn does not work here: {text[-200:]}")


def prepare(tree, package):
    shutil.copy(package, tree)
    shutil.copy(os.path.join(HERE, "container", "steps.sh"),
                os.path.join(tree, "placard-steps.sh"))
    shutil.copy(os.path.join(HERE, "container", "probe.pl"),
                os.path.join(tree, "placard-steps-probe.pl"))
    call(["make", "-s", "-C", ROOT, "install-exec", "install-data",
          "DESTDIR=" + os.path.join(tree, "placard.built")], "make install")
    wants = os.path.join(tree, "etc/systemd/system/multi-user.target.wants")
    os.makedirs(wants, exist_ok=True)
    with open(os.path.join(tree, "etc/systemd/system/steps.service"), "w",
              encoding="ascii") as out:
        out.write(UNIT)
    os.symlink("/etc/systemd/system/steps.service",
               os.path.join(wants, "steps.service"))


def boot(tree):
    proc = subprocess.Popen(
        [lab.find_program("systemd-nspawn"), "--quiet", "--register=no",
         "--keep-unit", "--private-network",
         "--system-call-filter=landlock_create_ruleset landlock_add_rule "
         "landlock_restrict_self", "--console=pipe", "-D", tree,
         "--boot"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    try:
        out, _ = proc.communicate(timeout=420)
    except subprocess.TimeoutExpired:
        lab.kill_tree(proc.pid)
        out, _ = proc.communicate()
        raise AssertionError("the container did not go off: "
                             f"{out[-3000:]}") from None
    assert os.path.isdir(os.path.join(tree, "results")), out[-3000:]


def collect(tree):
    found = {}
    folder = os.path.join(tree, "results")
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), errors="replace",
                  encoding="utf-8") as text:
            found[name] = text.read()
    return found


def said(results, name, status=0):
    assert name + ".status" in results, f"{name}: no such step was run"
    assert results[name + ".status"].strip() == str(status), \
        f"{name}: status {results[name + '.status']}\n{results[name]}"
    return results[name]


def test_nothing_was_there(results):
    assert said(results, "before").strip() == ""


def test_the_package_installs_and_the_service_is_ready(results):
    said(results, "install")
    said(results, "active")
    assert "runs as process" in said(results, "status")
    shown = said(results, "properties")
    assert "Type=notify" in shown and "NRestarts=0" in shown
    assert "StatusText=0 jobs" in shown


def test_exposure(results):
    text = said(results, "exposure")
    found = re.search(r"exposure level for \S+: ([0-9.]+)", text)
    assert found and float(found.group(1)) <= 1.5, text[-300:]


def test_reload(results):
    said(results, "reload")
    said(results, "bad_reload")


def test_it_publishes(results):
    text = said(results, "publish")
    assert "token-0123456789abcdef.x" in text
    assert "job one: removed" in text
    assert "/srv/www/" not in text.split("job one: removed")[-1].split(
        "phase=")[0]
    assert re.search(r"sandbox worker=web no-new-privs=yes landlock=\d+ "
                     r"seccomp=yes", text), text
    assert re.search(r"sandbox worker=check .* capabilities=none", text), \
        text
    if "host-landlock=yes" in results["sandbox"]:
        assert "landlock=0" not in text, text


def test_the_sandbox_holds(results):
    text = said(results, "sandbox")
    seen = dict(re.findall(r"^([a-z-]+)=(\S+)$", text, re.M))
    assert "done" in text, text
    for name in ("etc", "usr", "srv", "home", "shadow", "mount", "unshare",
                 "chroot", "ptrace", "bpf", "setuid", "packet", "device",
                 "kernel", "other-processes"):
        assert seen.get(name, "no") == "no", f"{name}: {text}"
    for name in ("state", "inet", "credential"):
        assert seen[name] == "yes", f"{name}: {text}"
    assert seen["credential-mode"] == "400", text
    # The workers need what the unit's filter must leave to them.
    if "landlock" in seen:
        assert seen["landlock"] == seen["host-landlock"], text


def test_only_members_may_ask(results):
    text = said(results, "others")
    assert "outsider=4" in text and "member=0" in text, text
    assert '"job":"theirs"' in text, text
    assert "journal=0" not in text, text
    assert re.search("^k: .*ermission denied", text, re.M), text


def test_the_watchdog_bites(results):
    text = said(results, "watchdog")
    seen = dict(re.findall(r"(\w+)=(\S+)", text))
    assert seen["before"] != seen["after"], text
    assert int(seen["restarts"]) >= 1, text


def test_stop_is_quick(results):
    found = re.search(r"ms=(\d+)", said(results, "stop"))
    assert int(found.group(1)) < 5000, results["stop"]


def test_removed_without_a_trace(results):
    said(results, "again")
    said(results, "running")
    said(results, "uninstall")
    said(results, "kept")
    said(results, "purge")
    assert said(results, "after").strip() == ""


def test_one_command_installs_without_a_package(results):
    said(results, "own_install")
    said(results, "own_twice")
    said(results, "own_active")
    assert '"jobs":0' in said(results, "own_status")
    assert said(results, "own_key").split("\n")[:2] == [
        "placard 400", "root 600"]
    said(results, "own_stop")
    said(results, "own_start")


def test_one_command_removes_it(results):
    assert json.loads(said(results, "own_json")) == {
        "running": "/etc/placard/placard.conf"}
    text = said(results, "own_uninstall")
    assert '{"left":"/var/lib/placard"}' in text.replace(" ", "")
    assert "placard.conf: left, it was changed" in text
    said(results, "own_kept")
    said(results, "own_gone")
    said(results, "own_back")
    said(results, "own_purge")
    assert said(results, "own_after").strip() == ""


def test_what_is_given_is_checked_before_anything_is_made(results):
    text = said(results, "own_wrong", 3)
    assert "/wrong.conf:1: nonsense" in text, text
    assert "No such file" in said(results, "own_wrong_after", 2)
    assert "chmod 600" in said(results, "own_open_key", 3)
    assert "No such file" in said(results, "own_open_key_after", 2)
    # In the template's place, but never in that of what somebody wrote.
    said(results, "own_given")
    assert "max-jobs = 7" in said(results, "own_given_is")
    # It names no state directory; it is the unit's then, not the user's.
    assert '"/var/lib/placard"' in said(results, "own_given_state")
    text = said(results, "own_other", 3)
    assert "is not the same" in text, text


def test_without_systemd_it_says_how(results):
    text = said(results, "without_install")
    assert "no systemd" in text and "/placardd" in text and "s6" in text
    said(results, "without_again")
    assert said(results, "without_key").strip() == "placard 400"
    assert "in order" in said(results, "without_check")
    assert "no systemd" in said(results, "without_start", 3)
    said(results, "without_runs")
    said(results, "without_purge")
    assert said(results, "without_after").strip() == ""


def test_the_responder_gets_its_ports(results):
    """Port 53, which this user may not bind, comes from placardd.socket."""
    text = said(results, "socket")
    assert '"state":"visible"' in text.replace(" ", ""), text
    assert "listening=53" in text, text
