#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""How fast placard is, beside the tools that one would use instead.

Every table is made in one go on one machine, contenders taking turns, so that
its ratios mean something even where its seconds do not.  Wall times are
"median [least-most]" over the rounds; the ratio is to the table's first row
of the same size unless said otherwise.

    tests/bench/bench.py [--rounds N] [--peers-only] [TABLE]...
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import lab  # noqa: E402
import service  # noqa: E402
from service import memory_of  # noqa: E402

NSUPDATE_FULL = 700     # of our records in one UPDATE of nsupdate
KNSUPDATE_FULL = 780
TABLES = {}


def table(function):
    """Make a function a table that can be asked for by its name."""
    TABLES[function.__name__] = function
    return function


# -- measuring

def clock(argv, env=None):
    """Wall seconds of one command; its output is thrown away."""
    with tempfile.TemporaryFile() as noise:
        start = time.monotonic()
        proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=noise,
                                stderr=noise, env=env)
        status = proc.wait()
        wall = time.monotonic() - start
        if status != 0:
            noise.seek(0)
            sys.exit(f"bench: {' '.join(argv)}: exit status {status}\n"
                     f"{noise.read().decode(errors='replace')[-1500:]}")
    return wall


class Row:
    """One contender of a table at one size."""

    def __init__(self, what, size, once, undo=None):
        self.what = what
        self.size = size
        self.once = once        # returns wall seconds
        self.undo = undo
        self.times = []

    def turn(self):
        self.times.append(self.once())
        if self.undo:
            self.undo()

    @property
    def median(self):
        return statistics.median(self.times)


def seconds(value):
    if value < 0.1:
        return f"{value * 1000:.1f} ms"
    return f"{value:.3f} s"


def race(title, rows, rounds, note=None):
    """Let the rows take turns, then print them with ratios."""
    for number in range(rounds + 1):
        for row in rows:
            row.turn()
            if number == 0:
                row.times.clear()       # the first turn warms caches
    print(f"\n## {title}\n")
    print("| what | N | wall | ratio |\n|---|--:|--:|--:|")
    first = {}
    for row in rows:
        first.setdefault(row.size, row.median)
        print(f"| {row.what} | {row.size} | {seconds(row.median)} "
              f"[{seconds(min(row.times))}-{seconds(max(row.times))}] | "
              f"{row.median / first[row.size]:.2f} |")
    if note:
        print(f"\n{note}")
    sys.stdout.flush()


def life_of(argv, env=None):
    """Run it; {program: (processor seconds, peak MiB)} of its processes."""
    proc = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    tick = os.sysconf("SC_CLK_TCK")
    seen = {}
    while proc.poll() is None:
        for pid in lab.descendants(proc.pid):
            try:
                with open(f"/proc/{pid}/stat", "rb") as text:
                    head, fields = text.read().rsplit(b")", 1)
                with open(f"/proc/{pid}/status", encoding="ascii") as text:
                    peak = [int(line.split()[1]) for line in text
                            if line.startswith("VmHWM:")]
            except OSError:
                continue
            if not peak:
                continue
            spent = sum(int(f) for f in fields.split()[11:13]) / tick
            seen[pid, head.split(b"(", 1)[1].decode()] = (spent,
                                                          peak[0] / 1024)
        time.sleep(0.01)
    return {name: life for (_, name), life in seen.items()}


# -- the bed

class Bed:
    """Two servers, a placard, and scripts for the other tools."""

    def __init__(self, base, zones, notify="fast", second=True):
        self.base = base
        self.zones = zones
        port = lab.free_port("127.0.0.1")
        self.primary = lab.Named(
            os.path.join(base, "primary"), zones, notify=notify,
            secondaries=[f"127.0.0.1:{port}"] if second else [],
            log_queries=False).start()
        self.servers = [self.primary]
        if second:
            self.servers.append(lab.Named(
                os.path.join(base, "secondary"), zones, primary=self.primary,
                keys=self.primary.keys, port=port, log_queries=False))
            try:
                self.servers[1].start()
            except BaseException:
                self.stop()
                raise
        self.placard = lab.Placard(os.path.join(base, "placard"))
        self.placard.rfc2136("lab", self.primary)
        self.placard.route("bench.test", "lab")
        self.placard.servers(*(s.where() for s in self.servers))
        self.placard.write()

    def stop(self):
        for server in self.servers:
            server.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def names(self, count):
        """count names, dealt out over the zones."""
        return [f"h{i}.{self.zones[i % len(self.zones)]}"
                for i in range(count)]

    def job(self, count):
        return self.placard.job_file(lab.job(*(
            lab.dns01(name, name) for name in self.names(count)),
            name=f"b{count}"), name=f"job{count}.json")

    def script(self, tool, word, count):
        """An update script, batched as far as the tool can."""
        full = NSUPDATE_FULL if tool == "nsupdate" else KNSUPDATE_FULL
        path = os.path.join(self.base, f"{tool}-{word}-{count}")
        by_zone = {}
        for name in self.names(count):
            by_zone.setdefault(name.split(".", 1)[1], []).append(name)
        with open(path, "w", encoding="ascii") as out:
            out.write(f"server {self.primary.address} "
                      f"{self.primary.port}\n")
            for zone, names in by_zone.items():
                out.write(f"zone {zone}.\n")
                for i, name in enumerate(names):
                    out.write(f"{word} _acme-challenge.{name}. 60 TXT "
                              f"\"{lab.value(name)}\"\n")
                    if (i + 1) % full == 0:
                        out.write("send\n")
                if len(names) % full:
                    out.write("send\n")
        return path

    def tool(self, tool, word, count):
        argv = [lab.find_program(tool), "-y", self.primary.key.nsupdate(),
                self.script(tool, word, count)]
        return lambda: clock(argv)

    def command(self, *args):
        """Wall seconds of one placard command."""
        argv = self.placard.argv(args)
        env = self.placard.env()
        return lambda: clock(argv, env=env)

    def empty(self):
        """Is the first zone as at the start?"""
        return "_acme-challenge.h" not in self.primary.dump(self.zones[0])


def questions(bed, count, server):
    """A dig -f file and what it must answer."""
    names = bed.names(count)
    stem = os.path.join(bed.base, f"ask-{count}-{server.port}")
    with open(stem, "w", encoding="ascii") as out:
        for name in names:
            out.write(f"-p {server.port} @{server.address} "
                      f"_acme-challenge.{name} TXT +short\n")
    with open(stem + ".expected", "w", encoding="ascii") as out:
        out.write("".join(f'"{lab.value(name)}"\n' for name in names))
    return stem


def good_script(bed, count):
    """The script of somebody who knows his tools; see good.sh."""
    argv = ["/bin/sh", os.path.join(HERE, "good.sh"),
            bed.primary.key.nsupdate(),
            bed.script("nsupdate", "add", count),
            bed.script("nsupdate", "delete", count)]
    argv += [questions(bed, count, server) for server in bed.servers]
    return lambda: clock(argv)


# -- tables

@table
def startup(options, base):
    """Starting, and one record without waiting for it to be seen."""
    with Bed(base, ["z.bench.test"], second=False) as bed:
        nothing = os.devnull
        rows = [
            Row("nsupdate, empty script", 0, lambda: clock(
                [lab.find_program("nsupdate"), nothing])),
            Row("knsupdate, empty script", 0, lambda: clock(
                [lab.find_program("knsupdate"), nothing]))]
        if not options.peers_only:
            rows.append(Row("placard --version", 0, lambda: clock(
                [bed.placard.program(), "--version"],
                env=bed.placard.env())))
        race("Start", rows, options.rounds * 5)
        rows = [Row(tool + ", one record", 1, bed.tool(tool, "add", 1),
                    bed.tool(tool, "delete", 1))
                for tool in ("nsupdate", "knsupdate")]
        if not options.peers_only:
            rows.append(Row(
                "placard present --no-wait", 1, bed.command(
                    "present", "-m", "dns-01", "-d", "h0.z.bench.test",
                    "--value", lab.value("h0.z.bench.test"), "--no-wait"),
                bed.command("cleanup", "--all")))
        race("One record", rows, options.rounds * 3)
        assert bed.empty()


def add_rows(bed, options, count):
    rows = [Row(tool + ", batched", count, bed.tool(tool, "add", count),
                bed.tool(tool, "delete", count))
            for tool in ("nsupdate", "knsupdate")]
    if not options.peers_only:
        job = bed.job(count)
        rows.append(Row("placard present --no-wait", count, bed.command(
            "present", "--jobs", job, "--no-wait"),
            bed.command("cleanup", "--job", f"b{count}")))
    return rows


@table
def adds(options, base):
    """1,000 and 10,000 records into one zone."""
    with Bed(base, ["z.bench.test"], second=False) as bed:
        for count in (1000, 10000):
            race("Adds, one zone", add_rows(bed, options, count),
                 options.rounds)
        assert bed.empty()


@table
def zones(options, base):
    """The same over 200 zones."""
    names = [f"z{i:03d}.bench.test" for i in range(200)]
    with Bed(base, names, second=False) as bed:
        for count in (1000, 10000):
            race("Adds, 200 zones", add_rows(bed, options, count),
                 options.rounds)
        assert bed.empty()


@table
def whole(options, base):
    """Publish, see on two servers, remove."""
    with Bed(base, ["z.bench.test"]) as bed:
        for count in (1, 100, 1000):
            rows = [Row("nsupdate, dig -f on both, nsupdate", count,
                        good_script(bed, count))]
            if not options.peers_only:
                rows.append(Row("placard run -- true", count, bed.command(
                    "run", "--jobs", bed.job(count), "--", "/bin/true")))
            race("Publish, see, remove", rows, options.rounds,
                 "Two servers; the secondary is told at once "
                 "(notify-delay 0).")
        assert bed.empty()


@table
def lag(options, base):
    """The same with a secondary that lags as named's default makes it."""
    with Bed(base, ["z.bench.test"], notify="lag") as bed:
        primary, secondary = bed.servers
        print("\n## Publish, see, remove, with a lagging secondary\n\n"
              "| what | N | wall | lag in that run | wall - lag |\n"
              "|---|--:|--:|--:|--:|")
        for count in (1, 100):
            contenders = [("nsupdate, dig -f on both, nsupdate",
                           good_script(bed, count))]
            if not options.peers_only:
                contenders.append(("placard run -- true", bed.command(
                    "run", "--jobs", bed.job(count), "--", "/bin/true")))
            name = "_acme-challenge." + bed.names(count)[-1]
            for what, once in contenders:
                walls, lags = [], []
                for number in range(options.rounds):
                    # A change just told makes named hold back the next.
                    tick = f"tick-{what[:4]}-{count}-{number}.z.bench.test"
                    primary.seed("z.bench.test", tick, "x")
                    lab.wait_for(lambda: secondary.texts(tick), tick)
                    watch = Watch(secondary, name)
                    walls.append(once())
                    lags.append(watch.done())
                over = statistics.median(
                    w - g for w, g in zip(walls, lags))
                print(f"| {what} | {count} | "
                      f"{seconds(statistics.median(walls))} | "
                      f"{seconds(statistics.median(lags))} | "
                      f"{seconds(over)} |")
        assert bed.empty()


class Watch:
    """Notes when a server first has TXT values at a name."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.start = time.monotonic()
        self.seen = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._look)
        self.thread.start()

    def _look(self):
        while not self.stop.wait(0.003):
            if self.server.texts(self.name):
                self.seen = time.monotonic() - self.start
                return

    def done(self):
        """Seconds from the start until it was there."""
        self.stop.set()
        self.thread.join()
        if self.seen is None:
            sys.exit(f"bench: {self.name}: never seen on the secondary")
        return self.seen


@table
def many(options, base):
    """10,000 names: publish, see on two servers, remove; and memory."""
    with Bed(base, ["z.bench.test"]) as bed:
        count = 10000
        rows = [Row("nsupdate, add alone", count, bed.tool(
            "nsupdate", "add", count), bed.tool("nsupdate", "delete",
                                                count))]
        if options.peers_only:
            race("10,000 names", rows, options.rounds)
            return
        job = bed.job(count)
        rows.append(Row("placard run -- true", count, bed.command(
            "run", "--jobs", job, "--", "/bin/true")))
        race("10,000 names, publish, see on two servers, remove", rows,
             options.rounds)
        memory(bed, job)
        assert bed.empty()


def memory(bed, job):
    """Peak of all processes together, in a run of its own."""
    proc = bed.placard.popen("--json", "run", "--jobs", job, "--",
                             "/bin/true", stdout=subprocess.DEVNULL)
    pss = rss = 0
    while proc.poll() is None:
        now = memory_of(proc.pid)
        pss, rss = max(pss, now[0]), max(rss, now[1])
        time.sleep(0.004)
    proc.communicate()
    print(f"\nAll processes together at their peak: {pss:.1f} MiB "
          f"proportional, {rss:.1f} MiB with shared pages counted each "
          "time.")


@table
def asking(options, base):
    """10,000 names that are there, asked of two servers."""
    with Bed(base, ["z.bench.test"]) as bed:
        count = 10000
        bed.tool("nsupdate", "add", count)()
        last = "_acme-challenge." + bed.names(count)[-1]
        lab.wait_for(lambda: bed.servers[1].texts(last), "transferred")
        data = os.path.join(base, "dnsperf")
        with open(data, "w", encoding="ascii") as out:
            for name in bed.names(count):
                out.write(f"_acme-challenge.{name} TXT\n")

        def dnsperf():
            return sum(clock([
                lab.find_program("dnsperf"), "-s", server.address, "-p",
                str(server.port), "-d", data, "-n", "1", "-q", "100"])
                for server in bed.servers)
        rows = [Row("dnsperf, one server after the other", count, dnsperf)]
        if options.peers_only:
            race("10,000 names asked of two servers", rows, options.rounds)
            return
        verify = ["verify", "--jobs", bed.job(count)]
        rows.append(Row("placard verify", count, bed.command(*verify)))
        rows.append(Row("placard verify", 1000, bed.command(
            "verify", "--jobs", bed.job(1000))))
        race("10,000 names asked of two servers", rows, options.rounds)
        lives = [life_of(bed.placard.argv(verify), bed.placard.env())
                 for _ in range(options.rounds)]
        for name in ("placard", "placard-check"):
            spent = statistics.median(life[name][0] for life in lives)
            peak = max(life[name][1] for life in lives)
            print(f"\n{name}: {spent:.2f} s of one processor, "
                  f"{2 * count / spent:.0f} answers in each, at most "
                  f"{peak:.1f} MiB resident.")
        beside_silence(options, bed)


def beside_silence(options, bed):
    """A third server that says nothing: its own time-out, once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, \
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
        port = lab.free_port("127.0.0.1")
        for one in (udp, tcp):
            one.bind(("127.0.0.1", port))
        tcp.listen(256)
        bed.placard.servers(*(s.where() for s in bed.servers),
                            f"127.0.0.1:{port}")
        bed.placard.write()
        failing = bed.placard.run

        def turn(count):
            start = time.monotonic()
            done = failing("verify", "--jobs", bed.job(count))
            if done.status != 5:
                sys.exit(f"bench: {done}")
            return time.monotonic() - start
        race("one of three servers silent, until all is said", [
            Row("placard verify", count, lambda n=count: turn(n))
            for count in (1, 100, 1000)], options.rounds)


@table
def daemon(options, base):
    """placardd: memory, idleness, time to the first call, sustained rate."""
    if options.peers_only:
        return
    with Bed(base, ["z.bench.test"]) as bed:
        service.figures(bed, options.rounds)
        assert bed.empty()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers-only", action="store_true",
                        help="leave placard out")
    parser.add_argument("tables", nargs="*", metavar="TABLE",
                        help=", ".join(TABLES))
    options = parser.parse_args()
    unknown = [t for t in options.tables if t not in TABLES]
    if unknown:
        parser.error(f"no table {unknown[0]}: there are {', '.join(TABLES)}")
    print(f"# placard bench, {time.strftime('%Y-%m-%d', time.gmtime())}, "
          f"{os.cpu_count()} processors, load "
          f"{os.getloadavg()[0]:.1f} at the start, {options.rounds} rounds")
    for name in options.tables or TABLES:
        base = tempfile.mkdtemp(prefix="placard-bench-")
        os.chmod(base, 0o755)
        try:
            TABLES[name](options, base)
        finally:
            shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
