# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""500 jobs of 20 challenges while everything is restarted and killed.

Most challenges go to named, some to a program that takes its time.  Whatever
dies (a worker of any kind, the engine, all of it), and however often the
service is restarted and reloaded: every job becomes visible and goes away
again, what was done is not done again, and the zone is in the end as it was,
strangers' values included.

Without --soak each thing happens once to each half of the jobs' lives; with
it, jobs and disturbances go on for ten minutes.  $PLACARD_TEST_SEED replays
the order.
"""

import collections
import os
import random
import signal
import threading
import time

import pytest

import lab
from lab_daemon import Daemon
from lab_net import wait_for

JOBS, EACH = 500, 20
SLOW = 25               # every so many jobs have a challenge for the program
STRANGE = 50            # ... a value that somebody else has published
SOAK_SECONDS = 600
WORKERS = ("placard-dns", "placard-local", "placard-check")

# Publishes by nsupdate, slowly; notes when it is done.
PROGRAM = """#!/bin/sh
sleep 0.3
case $1 in
present) word="add $2 60" ;;
cleanup) word="delete $2" ;;
esac
nsupdate -y {key} <<EOF || exit 75
server {address} {port}
update $word TXT "$3"
send
EOF
echo "$1 $2" >>{dir}/calls
"""


class Chaos:
    """Things that happen to a service, in an order made by chance."""

    def __init__(self, daemon, rand):
        self.daemon = daemon
        self.rand = rand
        self.happened = []

    def restart(self):
        assert self.daemon.stop()[0] == 0
        self.daemon.start()

    def reload(self):
        self.daemon.hup()

    def kill_engine(self):
        self.daemon.kill_engine()
        self.daemon.start()

    def kill_all(self):
        self.daemon.kill()
        self.daemon.start()

    def kill_worker(self, program):
        """False where none of the kind is alive now."""
        pids = [pid for pid, name in self.daemon.workers().items()
                if name == program]
        if not pids:
            return False
        os.kill(self.rand.choice(pids), signal.SIGKILL)
        return True

    def once(self, word):
        if word not in WORKERS:
            getattr(self, word)()
        elif not self.kill_worker(word):
            return
        self.happened.append(word)

    def round(self):
        """Each thing once, as far as there is something to kill."""
        words = ["restart", "reload", "kill_engine", "kill_all", *WORKERS]
        self.rand.shuffle(words)
        for word in words:
            time.sleep(self.rand.uniform(0.02, 0.6))
            self.once(word)


class Scene:
    """A zone, its account, and a slow account for some of its names."""

    def __init__(self, bed):
        self.bed = bed
        self.placard = bed.placard
        path = os.path.join(self.placard.dir, "program")
        with open(path, "w", encoding="ascii") as out:
            out.write(PROGRAM.format(
                key=bed.primary.key.nsupdate(), dir=self.placard.dir,
                address=bed.primary.address, port=bed.primary.port))
        os.chmod(path, 0o755)
        self.placard.account("slow", "exec", program=path, zones=[bed.zone])
        self.placard.route("slow." + bed.zone, "slow")
        for number in range(0, JOBS, STRANGE):
            domain = self.domains(number)[0]
            bed.seed(lab.value(domain), name="_acme-challenge." + domain)

    def domains(self, number):
        """A job's domains; the last one may be the program's."""
        zone = self.bed.zone
        found = [f"c{k}.j{number}.{zone}" for k in range(EACH)]
        if number % SLOW == 0:
            found[-1] = f"j{number}.slow.{zone}"
        return found

    def jobs(self, life):
        """{name: job}; every fifth goes away by itself."""
        return {f"l{life}-{i}": lab.job(
            *(lab.dns01(d, d) for d in self.domains(i)), name=f"l{life}-{i}",
            hold="until-released" if i % 5 else "until-visible")
                for i in range(JOBS)}

    def values(self):
        """How many challenges' values are in the zone."""
        return sum(line.startswith("_acme-challenge.")
                   for line in self.bed.dump().splitlines())

    def calls(self):
        """How often the program has done each thing."""
        with open(os.path.join(self.placard.dir, "calls"),
                  encoding="ascii") as text:
            return collections.Counter(text.read().splitlines())


class Submitter(threading.Thread):
    """Hands in jobs until the service knows them all, however often it dies."""

    def __init__(self, scene, jobs):
        super().__init__(daemon=True)
        self.scene = scene
        self.jobs = jobs
        self.fault = None
        self.start()

    def run(self):
        try:
            while left := self.left():
                path = self.scene.placard.job_file(*left, name="submit.json")
                done = self.scene.placard.json("job", "submit", path)
                assert done.status in (0, 6, 7), done
        except BaseException as fault:      # for who joins
            self.fault = fault

    def left(self):
        """What is not among its jobs; none is asked for twice."""
        while (done := self.scene.placard.json("job", "list")).status == 6:
            time.sleep(0.05)
        known = {one["job"] for one in done.objects}
        return [job for name, job in self.jobs.items() if name not in known]

    def done(self):
        self.join(300)
        assert not self.is_alive() and self.fault is None, self.fault


def live(scene, daemon, chaos, life):
    """One life of all jobs, disturbed while they come and while they go."""
    jobs = scene.jobs(life)
    held = [name for i, name in enumerate(jobs) if i % 5]

    def phases():
        return {name: one["phase"] for name, one in daemon.jobs().items()
                if name in jobs}

    before = scene.values()
    submitter = Submitter(scene, jobs)
    chaos.round()
    submitter.done()
    chaos.round()
    rest = {name: "held" if name in held else "done" for name in jobs}
    wait_for(lambda: phases() == rest, "all at rest", 300, 0.3)
    done = daemon.ask(*({"request": "show", "id": name} for name in held))
    assert {one["report"]["state"] for one in done} == {"visible"}
    assert scene.values() - before == EACH * len(held)
    daemon.ask(*({"request": "release", "id": name} for name in held))
    chaos.round()
    wait_for(lambda: set(phases().values()) == {"done"}, "all gone", 300,
             0.3)
    assert {one["state"] for one in daemon.jobs().values()} == {"removed"}
    scene.bed.unchanged()
    assert scene.placard.quiet_journal()


@pytest.mark.big
@pytest.mark.crash
def test_no_job_is_lost(bed, soak):
    seed = os.environ.get("PLACARD_TEST_SEED", str(time.time_ns()))
    print("PLACARD_TEST_SEED=" + seed)
    scene = Scene(bed)
    lives = 0
    with Daemon(bed.placard, {"deadline": "30m", "keep": "1h"}) as daemon:
        chaos = Chaos(daemon, random.Random(seed))
        end = time.monotonic() + (SOAK_SECONDS if soak else 0)
        while lives == 0 or time.monotonic() < end:
            live(scene, daemon, chaos, lives)
            lives += 1
        assert daemon.stop()[0] == 0
    # What a killed worker or engine had under way may be done again, once.
    calls = scene.calls()
    slow = len(range(0, JOBS, SLOW))
    assert len(calls) == 2 * slow
    again = sum(calls.values()) - 2 * slow * lives
    kills = len(chaos.happened) - chaos.happened.count("reload")
    assert 0 <= again <= kills, (again, chaos.happened)
    assert set(chaos.happened) == {"restart", "reload", "kill_engine",
                                   "kill_all", *WORKERS}, chaos.happened
