# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard and the store in another time: what is issued today runs out, and
years pass in steps.
"""

import datetime
import glob
import json
import os
import pathlib
import stat
import sys

import pytest

import lab
from lab_daemon import Daemon
from lab_order import Counter, sslstore

DAY = 86400
FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
RULES = str(pathlib.Path(__file__).resolve().parents[2] / "orders" /
            "ca-rules.conf")
# A reader of events: one JSON object a line goes into a file; it fails while
# there is a file "broken" beside it.
READER = """#!%s
import os, sys, time
here = os.path.dirname(os.path.abspath(__file__))
text = sys.stdin.read()
with open(os.path.join(here, "attempts"), "a") as out:
    out.write(text)
if os.path.exists(os.path.join(here, "broken")):
    sys.exit(3)
if os.path.exists(os.path.join(here, "hanging")):
    time.sleep(600)
with open(os.path.join(here, "events"), "a") as out:
    out.write(text)
""" % sys.executable


class Years(Counter):
    """An estate, its store, and the time they live in.  start: ISO date."""

    def __init__(self, directory, store, world, web, start=None, rules=True,
                 **options):
        super().__init__(directory, store, world, web, **options)
        self.offset = 0
        self.clock = os.path.join(self.dir, "clock")
        self.rules = rules
        self.environ |= {
            "LD_PRELOAD": FAKETIME[0], "FAKETIME_NO_CACHE": "1",
            "FAKETIME_TIMESTAMP_FILE": self.clock, "NO_FAKE_STAT": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.go(datetime.datetime.fromisoformat(start + "T12:00:00+00:00")
                .timestamp() - self.real() if start else 0)
        self.write()

    def write(self):
        kept = self.extra
        if getattr(self, "rules", False):
            self.extra = 'ca-rules = "%s"\n' % RULES + kept
        super().write()
        self.extra = kept

    def reader(self, name="ops", events=("issued", "deployed", "served",
                                         "failed", "expiring"), **more):
        """A program that is told of events; its directory."""
        place = pathlib.Path(self.dir, "reader-" + name)
        place.mkdir()
        program = place / "program"
        program.write_text(READER)
        program.chmod(0o755)
        body = {"program": str(program), "events": list(events)} | more
        self.extra += 'notify "%s" {\n%s}\n' % (name, self._options(body))
        self.write()
        return place

    # -- time

    @staticmethod
    def real():
        return datetime.datetime.now(datetime.timezone.utc).timestamp()

    def now(self):
        return self.real() + self.offset

    def go(self, offset):
        """The time that it is for everybody: so many seconds ahead."""
        self.offset = int(offset)
        with open(self.clock + ".new", "w", encoding="ascii") as out:
            out.write("%+d\n" % self.offset)
        os.rename(self.clock + ".new", self.clock)
        self.control("clock", offset=self.offset)
        # The longest life that the rules allow a CA on that day.
        self.control("behaviour", cert_days=self.longest())

    def longest(self):
        today = self.date()
        return 199 if today < "2027-03-15" else \
            99 if today < "2029-03-15" else 46

    def date(self, ahead=0):
        return datetime.datetime.fromtimestamp(
            self.now() + ahead, datetime.timezone.utc).strftime("%Y-%m-%d")

    def until(self, text):
        """Seconds from now to a time as placard prints it."""
        return datetime.datetime.fromisoformat(
            text.replace("Z", "+00:00")).timestamp() - self.now()

    # -- what is known

    def plan(self, days=90, status=0):
        done = self.json("plan", "--days", days)
        assert done.status == status, done
        return done.objects

    def orders(self):
        done = self.json("order", "list")
        assert done.status == 0, done
        return {o["local"]: o for o in done.objects}

    def place(self, name, *more, product="positivessl"):
        """An order that is issued."""
        return self.new(product, self.csr(name), "dns", "--wait", *more)

    def rest(self, daemon, timeout=60):
        """Wait until nothing is due and nothing is under way."""
        def quiet():
            assert daemon.proc.poll() is None, daemon.log()[-2000:]
            # In this order: what is begun leaves the plan for the book.
            if [a for a in self.json("plan", "--days", 0).objects
                    if a["action"] in ("renewal", "reissue")]:
                return False
            return not self.rows("SELECT 1 FROM orders WHERE step <> 0")
        lab.wait_for(quiet, "renewals to be done", timeout)

    def keys(self):
        place = pathlib.Path(self.state, "keys")
        return sorted(p.name for p in place.iterdir()) \
            if place.exists() else []

    def key_path(self, order):
        """Where the key of an order's certificate is, by the book."""
        found = self.rows("SELECT k.path FROM keys k JOIN orders o ON"
                          " k.order_id = o.id AND k.spki = o.spki"
                          " WHERE o.store_id = ?", order)
        return found[-1][0] if found else None


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def told(place, name="events"):
    """What a reader has been told, in order."""
    path = place / name
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def years(order_world, web, tmp_path, request):
    if not FAKETIME:
        pytest.skip("libfaketime is not installed")
    start = getattr(request, "param", "2026-11-22")
    with sslstore.Store([order_world.where()], http=web.site, https=None,
                        poll_interval=0) as one:
        yield Years(tmp_path, one, order_world, web, start=start)


@pytest.fixture
def service(years):
    one = Daemon(years)
    yield one
    one.stop()


__all__ = ["DAY", "Years", "mode", "service", "told", "years"]
