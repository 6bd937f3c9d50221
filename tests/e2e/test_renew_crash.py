# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placardd is killed in the middle of a renewal, anywhere: one order, one
certificate, one key.
"""

import os
import subprocess
import time

import pytest

import lab
from lab_order import order_world  # noqa: F401
from lab_renew import DAY, service, years  # noqa: F401

pytestmark = pytest.mark.crash
LIMIT = 90


def start_due(years, by_order):
    """An order whose renewal is due, by a new order or by a reissue."""
    years.controller("store", timeout=2)
    order = years.place("www.example.com")
    if by_order:
        years.control("expire", order=order["id"], days=199)
        years.order("refresh", order["id"])
    years.go(years.offset + 175 * DAY)
    assert years.plan(5)[0]["action"] == (
        "renewal" if by_order else "reissue")
    return order


def finish(years, service, order, by_order):
    """What came of it once placardd has gone on."""
    # A try that came to nothing waits for its time.
    years.go(years.offset + 600)
    service.start()
    lab.wait_for(lambda: done(years, by_order), "the next certificate", LIMIT)
    years.rest(service, LIMIT)
    held = years.control("orders")
    assert len(held) == (2 if by_order else 1), held
    assert len(years.rows("SELECT 1 FROM orders")) == len(held)
    assert len(years.rows("SELECT 1 FROM certificates")) == 2
    assert years.count("order/neworder") <= (2 if by_order else 1) + 1
    # The certificate in force has the key that the book names.
    number = years.rows("SELECT store_id FROM orders ORDER BY id DESC")[0][0]
    path = years.key_path(number)
    assert path and os.path.exists(path)
    # One key for one renewal: what a kill left behind was taken up.
    assert years.keys() == [os.path.basename(path)]
    assert service.stop()[0] == 0
    years.all_good()


def done(years, by_order):
    if by_order:
        return years.rows("SELECT 1 FROM orders WHERE renews IS NOT NULL"
                          " AND state = 2 AND step = 0")
    return years.rows("SELECT 1 FROM orders WHERE generation = 2"
                      " AND state = 2 AND step = 0") and len(
        years.rows("SELECT 1 FROM certificates")) == 2


CALLS = [("order/status", True, True), ("order/status", False, True),
         ("order/neworder", True, True), ("order/neworder", True, False),
         ("order/reissue", False, True), ("order/reissue", False, False),
         ("order/download", True, True)]


@pytest.mark.parametrize("path, by_order, effect", CALLS)
def test_killed_in_a_call(years, service, soak, path, by_order, effect):
    """While the store is slow with one call, carried out or not."""
    if not soak and path not in ("order/neworder", "order/reissue"):
        pytest.skip("one of --soak")
    order = start_due(years, by_order)
    before = years.count(path)
    years.faults({"action": "latency", "path": "/" + path, "seconds": 1.5,
                  "effect": effect})
    service.start()
    lab.wait_for(lambda: years.count(path) > before, path)
    service.kill()
    years.faults()
    time.sleep(1.6)     # what was under way is carried out behind us
    finish(years, service, order, by_order)


@pytest.mark.parametrize("by_order", [True, False])
def test_killed_while_waiting(years, service, by_order):
    """The CA takes its time; placardd is killed and started again."""
    order = start_due(years, by_order)
    years.control("behaviour", issue_delay=3600)
    service.start()
    lab.wait_for(lambda: years.rows("SELECT 1 FROM orders WHERE step = 4"),
                 "polling")
    service.kill_engine()
    years.go(years.offset + 3700)
    years.control("poll")
    finish(years, service, order, by_order)


@pytest.mark.parametrize("by_order", [True, False])
def test_killed_at_the_book(years, service, soak, by_order):
    """At writes of the book, from the first to the certificate."""
    for number in range(1, 100) if soak else (2, 9):
        years.control("reset")
        years.go(0)
        for name in os.listdir(years.state):
            if name.startswith(("orders.", "journal.")):
                os.unlink(os.path.join(years.state, name))
        for name in years.keys():
            os.unlink(os.path.join(years.state, "keys", name))
        order = start_due(years, by_order)
        killed = kill_at(years, service, number)
        finish(years, service, order, by_order)
        if not killed:
            break
    # So many writes does a renewal take: the loop has been through all.
    assert killed is not soak and number > 8


def kill_at(years, service, number):
    """Start placardd; it dies at its number-th fdatasync.  False: it had
    done all before."""
    service.write()
    with open(service.log_path, "ab") as log:
        proc = subprocess.Popen(
            [lab.strace(), "-q", "-o", os.path.join(years.dir, "trace"),
             "-e", "trace=fdatasync", "-e",
             "inject=fdatasync:signal=KILL:when=%d" % number,
             years.program("placardd"), "-c", years.config],
            env=years.env(), stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, cwd=years.dir, start_new_session=True)
    try:
        proc.wait(LIMIT / 6)
        return True
    except subprocess.TimeoutExpired:
        family = lab.descendants(proc.pid)
        lab.kill_tree(proc.pid)
        proc.wait(20)
        lab.wait_for(lambda: not any(lab.alive(p) for p in family), "its end")
        return False
