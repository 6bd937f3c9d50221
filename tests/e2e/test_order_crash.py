# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Kill order new --wait anywhere, go on: one order, one certificate, nothing
left published.
"""

import os
import signal
import time

import pytest

import lab
import lab_crash
from lab_order import counter, order_world  # noqa: F401

pytestmark = pytest.mark.crash
SLOW = 30


def kill(counter, proc):
    """The engine dies; its workers end with it."""
    workers = lab.workers_of(proc.pid)
    os.kill(proc.pid, signal.SIGKILL)
    proc.communicate()
    lab.wait_for(lambda: not [w for w in workers if lab.alive(w)],
                 "workers to end", SLOW)


def resume(counter, args):
    """As somebody would: what the book knows goes on, and if it knows of
    nothing, the order is given again."""
    done = counter.json("order", "list")
    assert done.status == 0, done
    orders = done.objects
    assert len(orders) <= 1
    if not orders:
        again = counter.json(*args)
    else:
        again = counter.json("order", "refresh", orders[0]["local"],
                             "--wait")
    assert again.status == 0, again
    order = again.objects[0]
    assert order["state"] == "issued" and order["step"] == "rest"
    held = counter.control("orders")
    assert len(held) == 1, held
    assert counter.control("order", order=order["id"]) == held[0]
    assert len(counter.rows("SELECT * FROM certificates")) == 1
    assert len(counter.rows("SELECT * FROM orders")) == 1
    counter.all_good()


STEPS = [("order/neworder", "place", True), ("order/neworder", "place",
                                             False),
         ("order/changeapprovermethod", "recheck", True),
         ("order/status", "poll", True), ("order/download", "fetch", True)]


@pytest.mark.parametrize("path, step, effect", STEPS)
def test_killed_in_a_call(counter, path, step, effect):
    """While the store is slow with one call."""
    counter.controller("store", timeout=2)
    args = counter.new_args("positivessl", None, "dns", "--wait")
    counter.faults({"action": "latency", "path": "/" + path, "seconds": 1.5,
                    "effect": effect})
    proc = counter.popen("--json", *args)
    lab.wait_for(lambda: path in counter.paths(), path)
    assert counter.rows("SELECT step FROM orders") == [
        ({"place": 1, "recheck": 3, "poll": 4, "fetch": 5}[step],)]
    kill(counter, proc)
    counter.faults()
    time.sleep(1.6)     # what was under way is carried out behind us
    resume(counter, args)


def test_killed_while_publishing(counter):
    """Published, and nobody can see it yet."""
    args = counter.new_args("positivessl", None, "dns", "--wait")
    good = counter.verify["servers"]
    counter.verify["servers"] = ["127.0.0.1:9"]
    counter.write()
    proc = counter.popen("--json", *args)
    lab.wait_for(lambda: len(counter.listed()) == 1, "publishing")
    assert counter.rows("SELECT step FROM orders") == [(2,)]
    kill(counter, proc)
    counter.verify["servers"] = good
    counter.write()
    resume(counter, args)


def test_killed_while_pending(counter):
    """Days may pass between the proof and the certificate."""
    counter.control("behaviour", issue_delay=3600)
    args = counter.new_args("positivessl", None, "dns", "--wait")
    proc = counter.popen("--json", *args)
    lab.wait_for(lambda: counter.count("order/status") >= 2, "polling")
    kill(counter, proc)
    counter.control("clock", offset=3700)
    counter.control("poll")
    resume(counter, args)


def test_killed_while_cleaning(counter):
    """The certificate is in the book, the record still in the zone."""
    args = counter.new_args("positivessl", None, "dns", "--wait")
    counter.faults({"action": "latency", "path": "/order/download",
                    "seconds": 1})
    proc = counter.popen("--json", *args)
    lab.wait_for(lambda: counter.count("order/download") == 1, "download")
    dns = [w for w in lab.workers_of(proc.pid)
           if "placard-dns" in os.readlink("/proc/%d/exe" % w)]
    assert dns
    for one in dns:
        os.kill(one, signal.SIGSTOP)
    try:
        lab.wait_for(lambda: counter.rows("SELECT step FROM orders") == [
            (6,)], "cleaning")
        os.kill(proc.pid, signal.SIGKILL)
        proc.communicate()
    finally:
        for one in dns:
            os.kill(one, signal.SIGCONT)
    lab.wait_for(lambda: not [w for w in dns if lab.alive(w)],
                 "workers to end", SLOW)
    assert len(counter.rows("SELECT * FROM certificates")) == 1
    counter.faults()
    resume(counter, args)


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_killed_at_the_book(counter, soak, call):
    """At writes of the book and the journal."""
    counter.controller("store", timeout=2)
    args = counter.new_args("positivessl", None, "dns", "--wait")
    first = lab_crash.Strace(counter, ["--json", *args])
    most = first.count([call])[call]
    counter.all_good()
    assert most > 10
    for number in lab_crash.points(most, soak, 8):
        counter.control("reset")
        for name in ("orders.db", "orders.db-wal", "orders.db-shm"):
            path = os.path.join(counter.state, name)
            if os.path.exists(path):
                os.unlink(path)
        args = counter.new_args("positivessl", None, "dns", "--wait")
        lab_crash.Strace(counter, ["--json", *args]).kill(call, number)
        resume(counter, args)
