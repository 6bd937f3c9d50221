#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""How long a sync of many orders takes, and what it needs.

Usage: orders.py [ORDERS [LATENCY_MS]]   (10000 and 50)

Against the fake store with that latency on every call.  Four figures: a sync
for which the fake makes all certificates (its time, not ours), the same from
an empty book, the full one again with nothing new, and the changes only.
For each: seconds, requests, the most in flight, seconds of processor time
that placard and its workers took and that the fake took, the largest resident
size of placard and of its workers in MiB.  "bound" is latency times calls by
eight in flight, the aim that they are compared with; it can only be met where
processor times leave room for it.
"""

import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
sys.path.insert(0, str(HERE.parent / "fakes"))

import lab                              # noqa: E402
from lab_store import sslstore          # noqa: E402


def resident(pid):
    """Resident size of a process in MiB, 0 where it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as text:
            for line in text:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0


class Watch(threading.Thread):
    """Looks at the sizes of a process and its children until told."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.over = pid, threading.Event()
        self.own = self.worker = 0

    def run(self):
        while not self.over.wait(0.05):
            self.own = max(self.own, resident(self.pid))
            for one in lab.workers_of(self.pid):
                self.worker = max(self.worker, resident(one))


def spent(pid):
    """Processor seconds of a process."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as text:
        words = text.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def children():
    """Processor seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(placard, store, what, latency, *args):
    store.command("clear")
    own, fake = children(), spent(store.proc.pid)
    start = time.monotonic()
    proc = placard.popen("order", "sync", *args)
    watch = Watch(proc.pid)
    watch.start()
    done = placard.finish(proc, timeout=3600)
    seconds = time.monotonic() - start
    watch.over.set()
    assert done.status == 0, done
    stats = store.command("stats")
    calls = stats["requests"]
    print("%-12s %7.1f s  %6d requests  %3d in flight  bound %6.1f s  "
          "cpu %5.1f s (fake %5.1f s)  placard %5.1f MiB  worker %5.1f MiB"
          % (what, seconds, calls, stats["peak_in_flight"],
             calls * latency / 1000 / 8, children() - own,
             spent(store.proc.pid) - fake, watch.own, watch.worker),
          flush=True)


class Fake:
    """The store in a process of its own, so that it does not slow us."""

    def __init__(self):
        import json
        self.json = json
        self.proc = subprocess.Popen(
            [sys.executable, str(HERE.parent / "fakes" / "sslstore.py"),
             "--port", "0"], stdout=subprocess.PIPE, text=True)
        self.facts = json.loads(self.proc.stdout.readline())
        self.url, self.ca = self.facts["url"], self.facts["ca"]
        self.pair = self.facts["partner_code"], self.facts["auth_token"]

    def command(self, name, **arguments):
        import ssl
        import urllib.request
        context = ssl.create_default_context(cafile=self.ca) \
            if self.ca else None
        request = urllib.request.Request(
            self.facts["control"] + name,
            self.json.dumps(arguments).encode(), method="POST")
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context))
        with opener.open(request) as answer:
            return self.json.loads(answer.read())

    def stop(self):
        self.proc.terminate()
        self.proc.wait(20)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    latency = float(sys.argv[2]) if len(sys.argv) > 2 else 50
    store = Fake()
    try:
        with tempfile.TemporaryDirectory() as directory:
            placard = lab.Placard(directory)
            token = placard.secret_file("token", store.pair[1])
            placard.extra = (
                'controller "store" { kind = "sslstore" url = "%s"\n'
                '  partner-code = "%s" auth-token-file = "%s"%s }\n' % (
                    store.url, store.pair[0], token,
                    ' ca-file = "%s"' % store.ca if store.ca else ""))
            store.command("seed", count=count)
            store.command("latency", seconds=latency / 1000)
            measured(placard, store, "issuing", latency)
            # The certificates are made now: the fake's arithmetic is out.
            shutil.rmtree(placard.state)
            measured(placard, store, "first", latency)
            measured(placard, store, "full again", latency, "--full")
            measured(placard, store, "changes", latency)
            size = os.path.getsize(os.path.join(placard.state, "orders.db"))
            print("orders.db %.1f MiB for %d orders" % (size / 2**20, count))
    finally:
        store.stop()


assert sslstore
if __name__ == "__main__":
    main()
