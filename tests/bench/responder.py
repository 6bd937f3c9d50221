#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""How fast the responder answers, beside nsd with the same names.

Server and asker have a processor each (taskset), and the servers take turns.
The second table is the time from the moment a change is handed to the
provider (its apply) to the first correct answer over UDP; the third that of
jobs, alone and beside a flood.

    tests/bench/responder.py [--rounds N] [--seconds S] [--names N]
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import lab  # noqa: E402
import lab_responder as lr  # noqa: E402
from lab_net import SBIN, find_program  # noqa: E402


def pin(pid, cpu):
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), {cpu})


def ticks(pids):
    """Processor seconds of processes."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rsplit(b")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


class Contender:
    def __init__(self, name, where, pids):
        self.name = name
        self.where = where
        self.pids = pids
        self.rates = []
        self.costs = []

    def turn(self, questions, seconds, cpu):
        before = ticks(self.pids)
        done = subprocess.run(
            ["taskset", "-c", str(cpu), find_program("dnsperf"), "-s",
             self.where[0], "-p", str(self.where[1]), "-d", questions, "-l",
             str(seconds), "-q", "200", "-c", "4", "-T", "1"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=True, env={"PATH": SBIN})
        spent = ticks(self.pids) - before
        sent = int(re.search(r"Queries completed: +(\d+)",
                             done.stdout).group(1))
        rate = float(re.search(r"Queries per second: +([\d.]+)",
                               done.stdout).group(1))
        self.rates.append(rate)
        self.costs.append(spent / sent * 1e6 if sent else 0)


def race(contenders, questions, rounds, seconds, cpu):
    for number in range(rounds + 1):
        for one in contenders:
            one.turn(questions, seconds, cpu)
            if number == 0:
                one.rates.clear()
                one.costs.clear()
    base = statistics.median(contenders[0].rates)
    cost = statistics.median(contenders[0].costs)
    print("| server | questions/s | of nsd's | µs of processor a question | "
          "answers a core·s | of nsd's |\n|---|--:|--:|--:|--:|--:|")
    for one in contenders:
        rate, each = (statistics.median(one.rates),
                      statistics.median(one.costs))
        print(f"| {one.name} | {rate:.0f} [{min(one.rates):.0f}-"
              f"{max(one.rates):.0f}] | {rate / base:.2f} | {each:.2f} | "
              f"{1e6 / each:.0f} | {cost / each:.2f} |")


def latency(base, rounds):
    """Milliseconds from apply to answer, by placard's own command and dig."""
    probe = os.path.join(lab.build_dir(), "tests/unit/"
                         "test_providers_responder")
    if not os.access(probe, os.X_OK):
        print("\n(no latency: make check builds the probe)")
        return
    done = subprocess.run([probe], stderr=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, check=True,
                          env={"RESPONDER_LATENCY": str(rounds)}, cwd=base)
    found = re.search(r"latency us: (.*)", done.stdout + done.stderr)
    print("\n| from apply to first correct answer | µs |\n|---|--:|\n"
          f"| median, 99 %, most | {found.group(1)} |")


class Flood:
    """dnsperf and wrk at full speed, until the end of the block."""

    def __init__(self, base, where, web):
        path = os.path.join(base, "flood")
        with open(path, "w", encoding="ascii") as out:
            out.write(f"no.{lr.ZONE} A\n")
        self.argvs = [
            [find_program("dnsperf"), "-s", where[0], "-p", str(where[1]),
             "-d", path, "-l", "600", "-q", "100"],
            [find_program("wrk"), "-t", "1", "-c", "50", "-d", "600s",
             f"http://127.0.0.1:{web}/.well-known/x"]]

    def __enter__(self):
        self.procs = [subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL,
                                       env={"PATH": SBIN})
                      for argv in self.argvs]

    def __exit__(self, *_):
        for one in self.procs:
            one.terminate()
            one.wait()


def flooded(base, rounds):
    """A job of a hundred names, alone and beside a flood."""
    placard = lab.Placard(os.path.join(base, "flooded"))
    web = lab.free_port("127.0.0.1")
    where = lr.responder(placard, http_listen=[f"127.0.0.1:{web}"])
    path = placard.job_file(lab.job(*(
        lr.txt(f"_acme-challenge.f{i}.{lr.ZONE}", "v") for i in range(100))))

    def turn():
        start = time.monotonic()
        placard.ok("run", "--jobs", path, "--", "true")
        return time.monotonic() - start
    quiet = [turn() for _ in range(rounds)]
    with Flood(base, where, web):
        loud = [turn() for _ in range(rounds)]
    print("\n| 100 names: publish, see, remove | seconds |\n|---|--:|")
    for what, times in (("alone", quiet), ("beside dnsperf and wrk", loud)):
        print(f"| {what} | {statistics.median(times):.2f} "
              f"[{min(times):.2f}-{max(times):.2f}] |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--names", type=int, default=1000)
    args = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as base:
        placard = lab.Placard(os.path.join(base, "placard"))
        where = lr.responder(placard)
        names = [f"_acme-challenge.n{i}.{lr.ZONE}"
                 for i in range(args.names)]
        lines = [f'{n}. 1 TXT "{lab.value(n)}"' for n in names]
        path = os.path.join(base, "questions")
        with open(path, "w", encoding="ascii") as out:
            for i, name in enumerate(names):
                out.write(f"{name} TXT\n")
                if i % 4 == 0:
                    out.write(f"no{i}.{lr.ZONE} A\n")
        jobs = [lab.job(*(lr.txt(n, lab.value(n)) for n in names))]
        with lr.Responder(placard, jobs) as run, lr.Nsd(
                os.path.join(base, "nsd"), lr.ZONE,
                lr.zone_file(lines)) as nsd:
            theirs = lab.descendants(nsd.proc.pid)
            for pid in (*theirs, run.worker()):
                pin(pid, cpus[0])
            print(f"## {args.names} names, one in five questions for none, "
                  "UDP\n")
            race([Contender("nsd", (nsd.address, nsd.port), theirs),
                  Contender("responder", where, [run.worker()])],
                 path, args.rounds, args.seconds, cpus[-1])
        latency(base, 2000)
        flooded(base, args.rounds)


if __name__ == "__main__":
    main()
