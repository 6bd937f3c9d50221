# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The store's book into ours."""

import fcntl
import os

import pytest

from lab_order import counter, order_world  # noqa: F401


def seeded(counter, count, **how):
    return counter.control("seed", count=count, **how)


def ids(counter, *args):
    return sorted(o["id"] for o in counter.json("order", "list",
                                                *args).objects)


def test_whole_book(counter):
    numbers = seeded(counter, 250)
    done = counter.json("order", "sync")
    assert done.status == 0, done
    report = done.objects[0]
    assert report["complete"] and report["new"] == 250
    assert ids(counter) == sorted(numbers)
    assert counter.control("stats")["peak_in_flight"] >= 8
    certificates = counter.rows("SELECT count(*) FROM certificates")[0][0]
    active = sum(1 for o in counter.control("orders") if o["certificates"])
    assert certificates == active == report["certificates"]
    counter.clean()


def test_faults_on_page_two(counter):
    numbers = seeded(counter, 250)
    counter.faults({"action": "status", "path": "/order/query", "times": 5,
                    "match": {"PageNumber": 2}})
    done = counter.json("order", "sync")
    assert done.status == 0, done
    assert ids(counter) == sorted(numbers)
    pages = [b["PageNumber"] for b in counter.bodies("order/query")]
    assert pages.count(2) == 6 and sorted(set(pages)) == [1, 2, 3, 4]


def test_six_failures(counter):
    """They end it; what was read stays, and the next goes on there."""
    numbers = seeded(counter, 250)
    counter.faults({"action": "html", "path": "/order/query", "times": 0,
                    "match": {"PageNumber": 2}})
    done = counter.json("order", "sync")
    assert done.status == 6, done
    assert not done.objects[0]["complete"]
    assert done.objects[0]["nextPage"] == 2
    assert len(ids(counter)) == 100
    pages = [b["PageNumber"] for b in counter.bodies("order/query")]
    assert pages == [1] + [2] * 6
    counter.faults()
    done = counter.json("order", "sync")
    assert done.status == 0, done
    assert [b["PageNumber"] for b in counter.bodies("order/query")][7:] \
        == [2, 3, 4]
    assert ids(counter) == sorted(numbers)


@pytest.mark.parametrize("size", [100, 125, 250])
def test_page_sizes(counter, size):
    """The book's size a multiple of the page's, or not."""
    counter.controller("store", page_size=size)
    numbers = seeded(counter, 250)
    assert counter.json("order", "sync").status == 0
    assert ids(counter) == sorted(numbers)


def test_store_that_caps_pages(counter):
    """A short page is not the end."""
    counter.control("behaviour", page_cap=30, page_order="shuffled")
    counter.controller("store", page_size=30)
    numbers = seeded(counter, 70)
    assert counter.json("order", "sync").status == 0
    assert ids(counter) == sorted(numbers)


def test_empty_book(counter):
    done = counter.json("order", "sync")
    assert done.status == 0 and done.objects[0]["orders"] == 0


def test_lean_elements(counter):
    """A status for each, where the list tells little."""
    counter.control("moods", query_detail="lean")
    numbers = seeded(counter, 40)
    assert counter.json("order", "sync").status == 0
    assert counter.count("order/status") == 40
    assert {o["product"] for o in counter.json("order", "list").objects} \
        - {None}
    assert ids(counter) == sorted(numbers)


def test_changes_only(counter):
    """The second one asks what has changed."""
    numbers = seeded(counter, 120, age_days=10)
    assert counter.json("order", "sync").status == 0
    counter.control("clock", offset=2 * 86400)
    counter.control("advance", order=numbers[3], state="Revoked")
    fresh = seeded(counter, 2)
    counter.control("clear")
    done = counter.json("order", "sync")
    assert done.status == 0, done
    report = done.objects[0]
    assert report["sync"] == "changes" and report["new"] == 2
    assert counter.count("order/query") == 0
    assert counter.count("order/getmodifiedorderssummary") >= 1
    assert ids(counter) == sorted(numbers + fresh)
    assert ids(counter, "--state", "revoked") == [numbers[3]]
    done = counter.json("order", "sync", "--full")
    assert done.objects[0]["sync"] == "full"
    assert done.objects[0]["orders"] == 122
    counter.clean()


def test_own_orders_stay_ours(counter):
    """A sync neither loses nor doubles what was placed from here."""
    one = counter.new()
    before = counter.rows("SELECT csr, uniq, ours, step FROM orders")
    seeded(counter, 5)
    assert counter.json("order", "sync").status == 0
    assert len(ids(counter)) == 6
    assert counter.rows("SELECT csr, uniq, ours, step FROM orders WHERE "
                        "store_id = ?", one["id"]) == before
    done = counter.json("order", "refresh", one["id"], "--wait")
    assert done.status == 0, done
    counter.all_good()


def test_order_at_work(counter):
    """What somebody works on at the moment is left alone: his row is newer
    than what was read before the store answered."""
    order = counter.new("positivessl", None, "dns", "--wait")
    other = counter.new("positivessl", None, "dns", "--wait")
    for one in (order, other):
        counter.control("advance", order=one["id"], state="Revoked")
    number = int(order["local"][1:])
    with open(os.path.join(counter.state, "orders.lock"), "r+b") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX, 1, number)
        assert counter.json("order", "sync", "--full").status == 0
        assert ids(counter, "--state", "revoked") == [other["id"]]
        shown = counter.order("import", order["id"])
        assert shown["id"] == order["id"] and shown["state"] == "issued"
    assert counter.json("order", "sync", "--full").status == 0
    assert ids(counter, "--state", "revoked") == sorted(
        [order["id"], other["id"]])


def test_import_everything(counter):
    numbers = seeded(counter, 20)
    assert counter.json("order", "import").status == 0
    assert ids(counter) == sorted(numbers)
    done = counter.json("order", "import", "99999999")
    assert done.status == 1, done


@pytest.mark.parametrize("moods", [
    {"is_error": "numtext", "numbers": "text"}, {"dates": "iso"},
    {"dates": "ms", "no_date": "1900"}, {"ids": "number"},
    {"certificates": "empty"}, {"not_ready": "null"},
    {"empty_arrays": "null", "unused": "null"}], ids=str)
def test_moods(counter, moods):
    counter.control("moods", **moods)
    numbers = seeded(counter, 25)
    assert counter.json("order", "sync").status == 0
    assert ids(counter) == sorted(numbers)


def test_progress(counter):
    seeded(counter, 30)
    done = counter.tty("order", "sync")
    assert done.status == 0 and "orders, page" in done.err
    assert "30 orders read" in done.out
    assert "page" not in counter.ok("order", "sync", "--full").err
