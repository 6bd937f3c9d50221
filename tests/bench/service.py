# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""What placardd costs and how fast it is: a table of bench.py."""

import os
import select
import socket
import statistics
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import lab  # noqa: E402
from lab_daemon import Daemon  # noqa: E402

IDLE_SECONDS = 60
JOBS, EACH = 500, 20


def memory_of(pid):
    """(PSS, RSS) of pid and everything below it, in MiB."""
    pss = rss = 0
    for one in lab.descendants(pid):
        try:
            with open(f"/proc/{one}/smaps_rollup", encoding="ascii") as text:
                for line in text:
                    if line.startswith("Pss:"):
                        pss += int(line.split()[1])
                    elif line.startswith("Rss:"):
                        rss += int(line.split()[1])
        except OSError:
            continue
    return pss / 1024, rss / 1024


def on_cpu(pid):
    """Seconds that pid and everything below it have had a processor."""
    total = 0
    for one in lab.descendants(pid):
        try:
            with open(f"/proc/{one}/schedstat", encoding="ascii") as text:
                total += int(text.read().split()[0])
        except OSError:
            continue
    return total / 1e9


class Relay(threading.Thread):
    """In front of a name server; notes when the first octet comes in."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.to = (server.address, server.port)
        self.port = lab.free_port("127.0.0.1")
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.tcp = socket.create_server(("127.0.0.1", self.port))
        self.first = None
        self.pairs = {}
        self.askers = {}
        self.start()

    def note(self):
        if self.first is None:
            self.first = time.monotonic()

    def run(self):
        while True:
            ready, _, _ = select.select(
                [self.udp, self.tcp, *self.pairs, *self.askers], [], [])
            for one in ready:
                self.turn(one)

    def turn(self, one):
        if one is self.tcp:
            here, _ = one.accept()
            there = socket.create_connection(self.to)
            self.pairs[here], self.pairs[there] = there, here
        elif one is self.udp:
            data, whence = one.recvfrom(65536)
            self.note()
            out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            out.connect(self.to)
            out.send(data)
            self.askers[out] = whence
        elif one in self.askers:
            self.udp.sendto(one.recv(65536), self.askers.pop(one))
            one.close()
        elif one in self.pairs:
            try:
                data = one.recv(65536)
            except ConnectionError:
                data = b""
            other = self.pairs[one]
            if data:
                self.note()
                other.sendall(data)
                return
            del self.pairs[one], self.pairs[other]
            one.close()
            other.close()


def one_job(name, hold, domains):
    return lab.job(*(lab.dns01(d, d) for d in domains), name=name, hold=hold)


def jobs(zone, hold, prefix):
    return [one_job(f"{prefix}{i}", hold, [
        f"h{i * EACH + k}.{zone}" for k in range(EACH)])
        for i in range(JOBS)]


def wait_all(daemon, names):
    for name in names:
        answer, = daemon.ask({"request": "wait", "id": name})
        assert "report" in answer, answer


def row(what, text):
    print(f"| {what} | {text} |")
    sys.stdout.flush()


def first_call(bed, daemon, rounds):
    """Milliseconds from the submission to the provider's first octet."""
    relay = Relay(bed.primary)
    bed.placard.rfc2136("lab", bed.primary, zone=bed.zones[0],
                        server=f"127.0.0.1:{relay.port}")
    cold, warm = [], []
    for number in range(rounds):
        with daemon:
            for times in (cold, warm):
                name = f"f{number}{len(warm)}{len(cold)}"
                job = one_job(name, "until-visible",
                              [f"{name}.{bed.zones[0]}"])
                relay.first = None
                start = time.monotonic()
                daemon.ask({"request": "submit", "job": job})
                lab.wait_for(lambda: relay.first, "a call", gap=0.001)
                times.append((relay.first - start) * 1000)
                wait_all(daemon, [name])
            daemon.stop()
    bed.placard.rfc2136("lab", bed.primary)
    return cold, warm


def figures(bed, rounds):
    """Print the table; bed as bench.py makes it, with one zone."""
    zone = bed.zones[0]
    daemon = Daemon(bed.placard)
    print("\n## The service\n\n| what | figure |\n|---|--:|")
    for what, times in zip(("its worker has to start",
                            "its worker is there"),
                           first_call(bed, daemon, rounds * 3)):
        row(f"submission to the provider's first octet, {what}",
            f"{statistics.median(times):.1f} ms "
            f"[{min(times):.1f}-{max(times):.1f}]")
    with daemon:
        pid = daemon.proc.pid
        row("memory, idle, without workers",
            "%.1f MiB proportional, %.1f resident" % memory_of(pid))
        daemon.submit(one_job("w", "until-visible", [zone]))
        wait_all(daemon, ["w"])
        row("memory, idle, with both workers",
            "%.1f MiB proportional, %.1f resident" % memory_of(pid))
        before = on_cpu(pid)
        time.sleep(IDLE_SECONDS)
        row(f"processor time of all, idle, {IDLE_SECONDS} s",
            f"{(on_cpu(pid) - before) * 1000:.1f} ms")
        rates = []
        before = on_cpu(pid)
        for number in range(rounds):
            many = jobs(zone, "until-visible", f"r{number}-")
            start = time.monotonic()
            daemon.submit(*many)
            wait_all(daemon, [one["job"] for one in many])
            rates.append(JOBS * EACH / (time.monotonic() - start))
        row(f"challenges finished a second, {JOBS} jobs of {EACH}",
            f"{statistics.median(rates):.0f} "
            f"[{min(rates):.0f}-{max(rates):.0f}]")
        row("processor time of all for 1,000 of them",
            "%.0f ms" % ((on_cpu(pid) - before) * 1e6 /
                         (rounds * JOBS * EACH)))
        open_ones(bed, daemon)
        daemon.stop()


def open_ones(bed, daemon):
    """10,000 challenges that are published and looked for, then visible."""
    pid = daemon.proc.pid
    peak = [0, 0]
    ended = threading.Event()

    def look():
        while not ended.wait(0.02):
            peak[:] = map(max, peak, memory_of(pid))

    many = jobs(bed.zones[0], "until-released", "o")
    bed.servers[1].pause()
    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        daemon.submit(*many)
        lab.wait_for(lambda: all(
            one["state"] == "published" for name, one in daemon.jobs().items()
            if name.startswith("o")), "published", 120, 0.2)
        time.sleep(3)
        row(f"memory, {JOBS * EACH} challenges looked for",
            "%.1f MiB proportional, %.1f resident" % memory_of(pid))
        bed.servers[1].resume()
        wait_all(daemon, [one["job"] for one in many])
        row(f"memory, {JOBS * EACH} challenges held",
            "%.1f MiB proportional, %.1f resident" % memory_of(pid))
    finally:
        ended.set()
        watcher.join()
        bed.servers[1].resume()
    row("memory, peak from submission on",
        "%.1f MiB proportional, %.1f resident" % tuple(peak))
    daemon.ask(*({"request": "release", "id": one["job"]} for one in many))
    wait_all(daemon, [one["job"] for one in many])
