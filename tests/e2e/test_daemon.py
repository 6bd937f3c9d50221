# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placardd over a real name server: jobs in, reports out, nothing left."""

import json
import os
import signal
import subprocess
import time

import pytest

import lab
from lab_daemon import Daemon
from lab_net import wait_for


@pytest.fixture
def daemon(bed):
    one = Daemon(bed.placard)
    one.bed = bed
    with one:
        yield one


def one_job(bed, name, seed=None, **more):
    return lab.job(lab.dns01(bed.zone, seed or name), name=name, **more)


@pytest.mark.quick
def test_a_job_from_submit_to_release(daemon):
    bed = daemon.bed
    done = daemon.submit(one_job(bed, "a"))
    assert done.report["state"] == "queued"
    done = daemon.wait("a")
    assert done.status == 0, done
    assert done.report["state"] == "visible"
    assert bed.texts() == [lab.value("a")]
    assert daemon.jobs()["a"]["phase"] == "held"
    daemon.release("a")
    done = daemon.wait("a")
    assert done.status == 0 and done.report["state"] == "removed", done
    bed.unchanged()
    assert bed.placard.quiet_journal()


def test_several_jobs_in_one_file(daemon):
    bed = daemon.bed
    done = daemon.submit(*(one_job(bed, f"m{i}") for i in range(5)))
    assert [r["job"] for r in done.reports] == [f"m{i}" for i in range(5)]
    for i in range(5):
        assert daemon.wait(f"m{i}").status == 0
    assert len(bed.texts()) == 5
    for i in range(5):
        daemon.release(f"m{i}")
    for i in range(5):
        assert daemon.wait(f"m{i}").report["state"] == "removed"
    bed.unchanged()


def test_hold_until_visible(daemon):
    daemon.submit(one_job(daemon.bed, "h", hold="until-visible"))
    done = daemon.wait("h")
    assert done.status == 0 and done.report["state"] == "removed", done
    assert done.report["challenges"][0]["visible"]
    daemon.bed.unchanged()


@pytest.mark.quick
def test_hold_seconds(daemon):
    daemon.submit(one_job(daemon.bed, "h", hold=2))
    assert daemon.wait("h").report["state"] == "visible"
    wait_for(lambda: daemon.show("h")["state"] == "removed", "removed")
    daemon.bed.unchanged()


@pytest.mark.quick
def test_the_same_job_again_is_the_same_job(daemon):
    bed = daemon.bed
    daemon.submit(one_job(bed, "a"))
    daemon.wait("a")
    done = daemon.submit(one_job(bed, "a"))
    assert done.report["state"] == "visible"
    done = daemon.submit(one_job(bed, "a", "other"), status=3)
    assert "another job" in done.errors()[0]["text"]
    daemon.release("a")
    daemon.wait("a")
    daemon.submit(one_job(bed, "a", "other"))
    assert daemon.wait("a").report["state"] == "visible"
    assert bed.texts() == [lab.value("other")]
    daemon.release("a")
    daemon.wait("a")


@pytest.mark.quick
def test_cancel_takes_back(daemon):
    bed = daemon.bed
    bed.secondary.pause()
    try:
        daemon.submit(one_job(bed, "c"))
        wait_for(lambda: daemon.show("c")["state"] == "published",
                 "published")
        assert daemon.placard.run("job", "cancel", "c").status == 0
        done = daemon.wait("c")
    finally:
        bed.secondary.resume()
    assert done.report["state"] == "removed", done
    bed.unchanged()


@pytest.mark.quick
@pytest.mark.parametrize("how", ["release", "cancel", "deadline"])
def test_ended_while_the_zone_is_asked_for(daemon, how):
    """The worker's answer comes when its question is nobody's any more."""
    bed = daemon.bed
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(
        time.time() + (3 if how == "deadline" else 60)))
    bed.primary.pause()
    try:
        daemon.submit(one_job(bed, "a", deadline=soon))
        wait_for(daemon.workers, "a worker")
        time.sleep(0.3)         # until it asks
        if how == "deadline":
            daemon.wait("a")
        else:
            done = bed.placard.json("job", how, "a")
            assert done.status == 0, done
    finally:
        bed.primary.resume()
    error = daemon.wait("a").challenges[0]["error"]
    assert error["code"] == ("network" if how == "deadline" else
                             "cancelled"), error
    # The worker has answered by now.
    daemon.submit(one_job(bed, "b"))
    assert daemon.wait("b").status == 0
    daemon.release("b")
    daemon.wait("b")
    bed.unchanged()


def test_a_second_daemon_is_refused(daemon):
    done = subprocess.run(
        [daemon.placard.program("placardd"), "-c", daemon.placard.config],
        env=daemon.placard.env(), stderr=subprocess.PIPE, text=True,
        timeout=60, check=False)
    assert done.returncode == 8
    assert "another placardd" in done.stderr
    assert daemon.answers()


def test_watch_tells_every_change(daemon):
    bed = daemon.bed
    watcher = daemon.placard.popen("--json", "job", "watch")
    try:
        wait_for(lambda: len(os.listdir(f"/proc/{watcher.pid}/fd")) > 3,
                 "watching")
        time.sleep(0.2)
        daemon.submit(one_job(bed, "w"))
        daemon.wait("w")
        daemon.release("w")
        daemon.wait("w")
        events = []
        while not (events and events[-1].get("phase") == "done"):
            events.append(json.loads(watcher.stdout.readline()))
    finally:
        watcher.kill()
        watcher.communicate()
    states = [e["state"] for e in events if "challenge" in e]
    assert states == ["published", "visible", "removed"]
    phases = [e["phase"] for e in events if "phase" in e]
    assert phases[-3:] == ["held", "removing", "done"]


@pytest.mark.quick
def test_wait_survives_a_restart(daemon):
    bed = daemon.bed
    bed.secondary.pause()
    try:
        daemon.submit(one_job(bed, "r"))
        wait_for(lambda: daemon.show("r")["state"] == "published",
                 "published")
        waiter = daemon.placard.popen("--json", "job", "wait", "r")
        time.sleep(0.3)
        status, took = daemon.stop()
        assert status == 0 and took < 5, (status, took)
    finally:
        bed.secondary.resume()
    daemon.start()
    done = daemon.placard.finish(waiter)
    assert done.status == 0 and done.report["state"] == "visible", done
    daemon.release("r")
    daemon.wait("r")
    bed.unchanged()


@pytest.mark.quick
@pytest.mark.parametrize("how", ["stop", "kill", "kill_engine"])
def test_jobs_survive(daemon, how):
    """Held, waiting and removing jobs are there again after a restart."""
    bed = daemon.bed
    daemon.submit(one_job(bed, "held"))
    daemon.wait("held")
    bed.secondary.pause()
    daemon.submit(one_job(bed, "waiting"))
    wait_for(lambda: daemon.show("waiting")["state"] == "published",
             "published")
    getattr(daemon, how)()
    bed.secondary.resume()
    daemon.start()
    assert daemon.show("held")["state"] == "visible"
    done = daemon.wait("waiting")
    assert done.status == 0 and done.report["state"] == "visible", done
    assert bed.texts() == sorted([lab.value("held"), lab.value("waiting")])
    daemon.release("held", "waiting")
    for name in ("held", "waiting"):
        assert daemon.wait(name).report["state"] == "removed"
    bed.unchanged()
    assert bed.placard.quiet_journal()


def test_reload_keeps_jobs(daemon):
    bed = daemon.bed
    daemon.submit(one_job(bed, "held"))
    daemon.wait("held")
    bed.secondary.pause()
    daemon.submit(one_job(bed, "waiting"))
    wait_for(lambda: daemon.show("waiting")["state"] == "published",
             "published")
    updates = bed.primary.updates()
    daemon.hup()
    bed.secondary.resume()
    assert daemon.wait("waiting").report["state"] == "visible"
    assert bed.primary.updates() == updates, "published twice"
    assert daemon.show("held")["state"] == "visible"
    daemon.release("held", "waiting")
    assert daemon.wait("held").report["state"] == "removed"
    assert daemon.wait("waiting").report["state"] == "removed"
    bed.unchanged()


@pytest.mark.quick
def test_reload_takes_a_new_account(daemon):
    bed = daemon.bed
    daemon.submit(lab.job(lab.dns01("elsewhere.test", "x"), name="no"))
    assert daemon.wait("no").status in (1, 3)
    key = lab.Key("other.")
    bed.placard.account("lab", "rfc2136", server=bed.primary.where(),
                        key_name=key.name,
                        key_secret_file=bed.placard.secret_file(
                            "wrong", key.secret))
    daemon.write()
    daemon.hup()
    daemon.submit(one_job(bed, "refused"))
    wait_for(lambda: "account-refused" in daemon.log(), "refused")
    assert daemon.show("refused")["state"] == "queued"
    bed.placard.rfc2136("lab", bed.primary)
    daemon.write()
    daemon.hup()
    done = daemon.wait("refused")
    assert done.status == 0 and done.report["state"] == "visible", done
    daemon.release("refused")
    daemon.wait("refused")
    bed.unchanged()


def test_reload_of_a_wrong_configuration_changes_nothing(daemon):
    bed = daemon.bed
    bed.placard.write("nonsense = 1\n")
    daemon.hup()
    assert "nonsense" in daemon.log()
    daemon.write()
    daemon.submit(one_job(bed, "a"))
    assert daemon.wait("a").status == 0
    daemon.release("a")
    daemon.wait("a")
    bed.unchanged()


def test_a_refused_key_is_not_hammered(daemon):
    bed = daemon.bed
    key = lab.Key("other.")
    bed.placard.account("lab", "rfc2136", server=bed.primary.where(),
                        key_name=key.name,
                        key_secret_file=bed.placard.secret_file(
                            "wrong", key.secret))
    daemon.write()
    daemon.hup()
    for i in range(20):
        daemon.submit(one_job(bed, f"r{i}"))
    wait_for(lambda: "account-refused" in daemon.log(), "refused")
    before = bed.primary.log().count("BADKEY") + bed.primary.updates()
    time.sleep(3)
    after = bed.primary.log().count("BADKEY") + bed.primary.updates()
    assert after == before
    assert daemon.log().count("account-refused") == 1


@pytest.mark.quick
def test_workers_that_die_are_replaced(daemon):
    bed = daemon.bed
    daemon.submit(one_job(bed, "a"))
    daemon.wait("a")
    for _ in range(3):
        for pid in daemon.workers():
            os.kill(pid, signal.SIGKILL)
    daemon.submit(one_job(bed, "b"))
    assert daemon.wait("b").report["state"] == "visible"
    daemon.release("a", "b")
    assert daemon.wait("a").report["state"] == "removed"
    assert daemon.wait("b").report["state"] == "removed"
    bed.unchanged()


@pytest.mark.quick
def test_a_dead_command_is_cleaned_up_after(bed, tmp_path):
    """Intents of a killed command go at the next start."""
    program, calls = tmp_path / "program", tmp_path / "calls"
    program.write_text(f'#!/bin/sh\necho "$1" >>{calls}\n'
                       "test $1 = cleanup || exec sleep 600\n")
    program.chmod(0o755)
    bed.placard.account("lab", "exec", program=str(program))
    bed.placard.write()
    proc = bed.placard.popen("present", *bed.dns01("dead"))
    wait_for(calls.exists, "the program runs")
    assert not bed.placard.quiet_journal()
    lab.kill_tree(proc.pid)
    proc.communicate()
    with Daemon(bed.placard):
        wait_for(bed.placard.quiet_journal, "clean")
    assert calls.read_text() == "present\ncleanup\n"


def test_a_command_that_lives_is_left_alone(daemon):
    bed = daemon.bed
    bed.placard.ok("present", *bed.dns01("mine"))
    daemon.stop()
    daemon.start()
    time.sleep(1)
    assert bed.texts() == [lab.value("mine")]
    bed.placard.ok("cleanup", *bed.dns01("mine"))
    bed.unchanged()


def test_old_records_of_nobody_go(bed):
    bed.placard.ok("present", *bed.dns01("mine"))
    time.sleep(1.1)
    with Daemon(bed.placard, {"max-age": "1s"}):
        wait_for(bed.placard.quiet_journal, "gone")
    bed.unchanged()


def test_what_nobody_releases_goes(bed):
    with Daemon(bed.placard, {"max-age": "2s"}) as daemon:
        daemon.submit(one_job(bed, "a"))
        assert daemon.wait("a").report["state"] == "visible"
        wait_for(lambda: daemon.show("a")["state"] == "removed", "removed")
    bed.unchanged()


@pytest.mark.quick
def test_deadline(daemon):
    bed = daemon.bed
    bed.secondary.pause()
    try:
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ",
                             time.gmtime(time.time() + 3))
        daemon.submit(one_job(bed, "late", deadline=soon))
        done = daemon.wait("late")
    finally:
        bed.secondary.resume()
    assert done.status == 5, done
    assert done.challenges[0]["error"]["code"] == "not-visible"
    daemon.release("late")
    wait_for(lambda: daemon.show("late")["state"] == "removed", "removed")
    bed.unchanged()


def test_deadline_with_a_server_that_is_away(daemon):
    bed = daemon.bed
    bed.primary.pause()
    try:
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ",
                             time.gmtime(time.time() + 3))
        daemon.submit(one_job(bed, "late", deadline=soon))
        done = daemon.wait("late", 30)
    finally:
        bed.primary.resume()
    assert done.status in (5, 6), done
    wait_for(lambda: daemon.jobs()["late"]["phase"] == "done", "done",
             seconds=90)
    bed.unchanged()


def test_notify_program(bed, tmp_path):
    out = tmp_path / "told"
    program = tmp_path / "tell"
    program.write_text(f"#!/bin/sh\ncat >> {out}\nenv >> {tmp_path}/env\n")
    program.chmod(0o755)
    bed.placard.extra = f'notify "me" {{ program = "{program}" }}\n'
    with Daemon(bed.placard) as daemon:
        daemon.submit(one_job(bed, "n", notify="me", hold="until-visible"))
        daemon.wait("n")
        wait_for(lambda: out.exists() and "removed" in out.read_text(),
                 "told")
        done = daemon.submit(one_job(bed, "x", notify="nobody"), status=3)
        assert "nobody" in done.errors()[0]["text"]
    states = [lab.lab_schema.check_report(json.loads(line))["state"]
              for line in out.read_text().splitlines()]
    assert states[-1] == "removed" and "visible" in states, states
    names = {line.split("=")[0]
             for line in (tmp_path / "env").read_text().splitlines()}
    assert names <= {"PATH", "LANG", "PWD", "SHLVL", "_"}, names
    bed.unchanged()


def test_notify_program_that_fails_is_tried_again(bed, tmp_path):
    out = tmp_path / "told"
    program = tmp_path / "tell"
    program.write_text(f"#!/bin/sh\ntest -e {tmp_path}/first || "
                       f"{{ touch {tmp_path}/first; exit 3; }}\n"
                       f"cat >> {out}\n")
    program.chmod(0o755)
    bed.placard.extra = f'notify "me" {{ program = "{program}" }}\n'
    with Daemon(bed.placard) as daemon:
        daemon.submit(one_job(bed, "n", notify="me", hold="until-visible"))
        daemon.wait("n")
        wait_for(lambda: out.exists() and "removed" in out.read_text(),
                 "told")
    states = [json.loads(line)["state"]
              for line in out.read_text().splitlines()]
    assert states[0] == "queued", states


def test_check_of_the_configuration(placard):
    placard.write()
    program = placard.program("placardd")
    done = subprocess.run([program, "-t", "-c", placard.config],
                          env=placard.env(), capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0 and "in order" in done.stdout
    placard.write('service { sockte = "x"  metrics-listen = "0.0.0.0:9" }\n'
                  'notify "n" { }\n')
    done = subprocess.run([program, "-t", "-c", placard.config],
                          env=placard.env(), capture_output=True, text=True,
                          check=False)
    assert done.returncode == 3
    assert "placard.conf:1: sockte" in done.stderr
    assert "metrics-listen" in done.stderr and "program" in done.stderr


@pytest.mark.quick
def test_reload_leaves_nothing_of_the_old_engine(bed):
    """Its timers too: an account that waits, and one that works meanwhile."""
    bed.placard.rfc2136("away", bed.primary,
                        server=f"127.0.0.1:{lab.closed_port()}")
    bed.placard.route("away.test", "away")
    with Daemon(bed.placard) as daemon:
        daemon.submit(lab.job(lab.dns01("away.test", "w"), name="away"))
        for i in range(6):
            daemon.submit(one_job(bed, f"r{i}", hold="until-visible"))
            time.sleep(0.1 * (i % 3))
            daemon.hup()
        for i in range(6):
            assert daemon.wait(f"r{i}").report["state"] == "removed"
        time.sleep(1)
        assert daemon.show("away")["state"] == "queued"
        daemon.placard.run("job", "cancel", "away")
        assert daemon.wait("away").report["state"] == "failed"
        assert daemon.stop()[0] == 0
    bed.unchanged()
