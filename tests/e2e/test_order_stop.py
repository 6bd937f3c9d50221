# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""order new --wait stopped by a signal: it says where the order is and how
to go on, and goes on so.
"""

import signal

import pytest

import lab
from lab_order import counter, order_world  # noqa: F401

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def stop(counter, proc, number, state, step):
    """Sends the signal; the order's number here."""
    workers = lab.workers_of(proc.pid)
    proc.send_signal(number)
    done = counter.finish(proc)
    assert done.status == 6, done
    order = done.objects[0]
    assert (order["state"], order["step"]) == (state, step), done
    assert order["error"]["code"] == "cancelled", order["error"]
    assert "stopped by a signal" in order["error"]["text"]
    assert "placard order refresh %s --wait" % order["id"] in done.err
    lab.wait_for(lambda: not [w for w in workers if lab.alive(w)],
                 "workers to end")
    return order


def publishing(counter):
    """Started, published, and seen by nobody."""
    counter.verify["servers"] = ["127.0.0.1:9"]
    counter.write()
    proc = counter.popen("--json", *counter.new_args(
        "positivessl", None, "dns", "--wait"))
    lab.wait_for(lambda: len(counter.listed()) == 1, "publishing")
    return proc


def go_on(counter, order):
    counter.servers(counter.world.where())
    counter.write()
    done = counter.json("order", "refresh", order["local"], "--wait")
    assert done.status == 0, done
    assert done.objects[0]["state"] == "issued"
    assert done.objects[0]["error"] is None
    assert len(counter.control("orders")) == 1
    assert len(counter.rows("SELECT * FROM certificates")) == 1
    counter.all_good()


@pytest.mark.parametrize("number", SIGNALS)
def test_while_publishing(counter, number):
    """The proof stays: the order is paid for and the CA may look."""
    order = stop(counter, publishing(counter), number, "pending", "publish")
    assert len(counter.listed()) == 1
    go_on(counter, order)
    assert counter.count("order/neworder") == 1


def test_stopped_and_called_off(counter):
    """Whoever does not want it any more leaves nothing behind."""
    order = stop(counter, publishing(counter), signal.SIGTERM, "pending",
                 "publish")
    gone = counter.order("cancel", order["id"])
    assert gone["state"] == "cancelled" and gone["step"] == "rest"
    counter.all_good()


def test_stopped_and_forgotten(counter):
    order = stop(counter, publishing(counter), signal.SIGINT, "pending",
                 "publish")
    counter.ok("order", "delete", order["id"])
    assert counter.json("order", "list").objects == []
    counter.all_good()


@pytest.mark.parametrize("number", SIGNALS)
def test_while_placing(counter, number):
    """The store has it, we do not know: it is looked for, not sent again."""
    counter.controller("store", timeout=2)
    counter.faults({"action": "latency", "path": "/order/neworder",
                    "seconds": 1})
    args = counter.new_args("positivessl", None, "dns", "--wait")
    proc = counter.popen("--json", *args)
    lab.wait_for(lambda: counter.count("order/neworder") == 1, "neworder")
    order = stop(counter, proc, number, "placing", "place")
    assert order["id"] == order["local"]
    counter.faults()
    lab.wait_for(lambda: len(counter.control("orders")) == 1,
                 "the store to carry it out")
    go_on(counter, order)
    assert counter.count("order/neworder") == 1


@pytest.mark.parametrize("number", SIGNALS)
def test_while_pending(counter, number):
    counter.control("behaviour", issue_delay=3600)
    proc = counter.popen("--json", *counter.new_args(
        "positivessl", None, "dns", "--wait"))
    lab.wait_for(lambda: counter.count("order/status") >= 2, "polling")
    order = stop(counter, proc, number, "pending", "poll")
    assert len(counter.listed()) == 1
    counter.control("clock", offset=3700)
    counter.control("poll")
    go_on(counter, order)


def test_not_done_in_time(counter):
    """The same for --timeout."""
    counter.control("behaviour", issue_delay=3600)
    done = counter.json(*counter.new_args("positivessl", None, "dns",
                                          "--wait", "--timeout", "3"))
    assert done.status == 6, done
    error = done.objects[0]["error"]
    assert error["retry"] is True and "not done in time" in error["text"]
    counter.control("clock", offset=3700)
    counter.control("poll")
    go_on(counter, done.objects[0])
