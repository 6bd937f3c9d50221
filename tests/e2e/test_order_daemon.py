# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placardd drives orders by itself, and goes on with them after a crash."""

import signal

import pytest

import lab
from lab_daemon import Daemon
from lab_order import counter, order_world  # noqa: F401


@pytest.fixture
def daemon(counter):
    one = Daemon(counter)
    yield one
    one.stop()


def state(counter, order):
    found = counter.rows("SELECT state, step FROM orders WHERE store_id = ?",
                         order["id"])
    return found[0] if found else None


def wait_issued(counter, order):
    lab.wait_for(lambda: state(counter, order) == (2, 0),
                 "the order to be issued and at rest", 60)


def test_takes_up_what_the_book_has(counter, daemon):
    """An order placed without --wait, before it was started."""
    order = counter.new()
    assert counter.count("order/status") == 0
    daemon.start()
    wait_issued(counter, order)
    assert daemon.stop()[0] == 0
    counter.all_good()
    assert counter.count("order/neworder") == 1


def test_killed_in_the_middle(counter, daemon):
    """kill -9 while the CA waits, then another one."""
    counter.control("behaviour", issue_delay=3600)
    order = counter.new()
    daemon.start()
    lab.wait_for(lambda: state(counter, order) == (1, 4), "polling")
    daemon.stop(signal.SIGKILL)
    assert len(counter.listed()) == 1
    counter.control("clock", offset=3700)
    daemon.start()
    counter.control("poll")
    wait_issued(counter, order)
    assert daemon.stop()[0] == 0
    counter.all_good()
    assert len(counter.rows("SELECT * FROM certificates")) == 1


def test_stopped_and_reloaded(counter, daemon):
    """Stopped while nobody can see the proof, it stays; started again and
    given another configuration, the rest comes by itself."""
    counter.verify["servers"] = ["127.0.0.1:9"]
    counter.write()
    order = counter.new()
    daemon.start()
    lab.wait_for(lambda: len(counter.listed()) == 1, "publishing")
    assert daemon.stop(signal.SIGTERM)[0] == 0
    assert state(counter, order) == (1, 2) and len(counter.listed()) == 1
    daemon.start()
    lab.wait_for(lambda: daemon.log().count("publishing the challenges") == 2,
                 "publishing again")
    assert len(counter.listed()) == 1
    counter.servers(counter.world.where())
    daemon.write()
    daemon.proc.send_signal(signal.SIGHUP)
    wait_issued(counter, order)
    assert daemon.stop()[0] == 0
    counter.all_good()
    assert counter.count("order/neworder") == 1
    assert len(counter.rows("SELECT * FROM certificates")) == 1


def test_lost_answer_is_found_again(counter, daemon):
    """What a killed command left without a number."""
    counter.faults({"action": "lost", "path": "/order/neworder"},
                   {"action": "status", "path": "/order/status",
                    "times": 0})
    done = counter.json(*counter.new_args())
    assert done.objects[0]["state"] == "placing"
    counter.faults()
    daemon.start()
    lab.wait_for(lambda: counter.rows("SELECT step FROM orders") == [(0,)],
                 "the order to be at rest", 60)
    assert len(counter.control("orders")) == 1
    assert counter.rows("SELECT state FROM orders") == [(2,)]
    daemon.stop()
    counter.all_good()


def test_command_beside_it(counter, daemon):
    """An order that placardd drives can be called off by a command."""
    counter.control("behaviour", issue_delay=3600)
    order = counter.new()
    daemon.start()
    lab.wait_for(lambda: state(counter, order) == (1, 4), "polling")
    gone = counter.order("cancel", order["id"])
    assert gone["state"] == "cancelled"
    daemon.stop()
    counter.all_good()
