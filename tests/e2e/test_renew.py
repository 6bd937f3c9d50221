# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placardd renews certificates by itself, while years pass."""

import datetime

import lab
from lab_order import order_world, public  # noqa: F401
from lab_renew import DAY, mode, service, told, years  # noqa: F401

from cryptography.hazmat.primitives import serialization


def spki_of(path):
    with open(path, "rb") as pem:
        return public(serialization.load_pem_private_key(
            pem.read(), None).public_key())


def test_a_reissue_when_it_is_due(years, service):
    """Not before; with a new key, whose path is in the book."""
    order = years.place("www.example.com")
    first = years.leaf(order["id"])
    action, = years.plan(200)
    assert action["action"] == "reissue" and action["number"] == 1
    assert action["ends"] == order["notAfter"]
    due = years.until(action["due"])
    assert 165 * DAY < due < 170 * DAY
    years.go(years.offset + due - 3600)
    service.start()
    lab.wait_for(lambda: "start" in service.log(), "the service")
    years.rest(service)
    assert years.count("order/reissue") == 0
    assert years.plan(1)[0]["due"] == action["due"]
    years.go(years.offset + 3700)
    service.hup()
    years.rest(service)
    assert years.count("order/reissue") == 1
    assert len(years.control("orders")) == 1
    again = years.order("show", order["id"])
    assert again["state"] == "issued"
    assert again["notAfter"] > order["notAfter"]
    # Another key, of the same type, for its owner alone.
    path = years.key_path(order["id"])
    assert years.keys() == [path.rsplit("/", 1)[1]]
    assert path.rsplit("/", 1)[1].startswith("L1-2-")
    assert mode(path) == 0o600 and mode(path.rsplit("/", 1)[0]) == 0o700
    second = years.leaf(order["id"])
    assert public(second.public_key()) == spki_of(path)
    assert public(second.public_key()) != public(first.public_key())
    assert second.public_key().curve.name == first.public_key().curve.name
    # Nothing more to do for months.
    service.hup()
    years.rest(service)
    assert years.count("order/reissue") == 1
    assert b"PRIVATE" not in open(years.state + "/orders.db", "rb").read()
    years.all_good()


def history(actions, years, late=0):
    """{name: [(day, kind)]} of what is, or was, to be done."""
    found = {}
    for one in actions:
        if one["action"] == "none" or years.until(one["due"]) > late:
            continue
        found.setdefault(one["proofs"][0]["name"], []).append(
            (one["due"][:10], one["action"]))
    return found


def days_apart(one, other):
    return abs((datetime.date.fromisoformat(one)
                - datetime.date.fromisoformat(other)).days)


def same(foreseen, done, end, late):
    """The same kinds, none more than a day from where it was foreseen.  Who
    is hours late may miss a midnight, and with it a day, each time."""
    most = [1 + (i + 1) * (late > 3600)
            for i in range(max(len(foreseen), len(done)))]
    foreseen, done = [[a for a in some if days_apart(a[0], end) > most[-1]]
                      for some in (foreseen, done)]
    return len(foreseen) == len(done) and all(
        a[1] == b[1] and days_apart(a[0], b[0]) <= n
        for a, b, n in zip(foreseen, done, most))


def test_two_years(years, service, soak):
    """No certificate runs out, none is ordered for nothing, and what the plan
    foresees is what happens: days, kinds, numbers."""
    names = ["host-%d.example.com" % i for i in range(200 if soak else 2)]
    terms = [12, 24, 36] if soak else [12, 24]
    late = 6 * 3600 if soak else 60
    for i, name in enumerate(names):
        years.place(name, "--months", str(terms[i % len(terms)]))
    end = years.now() + 730 * DAY
    foreseen = years.plan(760)
    service.start()
    years.rest(service)
    done, todo = [], years.plan(760)
    while todo and years.now() + years.until(todo[0]["due"]) < end:
        years.go(years.offset + years.until(todo[0]["due"]) + late)
        before = len(years.control("orders"))
        wanted = [a for a in todo if years.until(a["due"]) <= 0
                  and a["number"] == 1]
        service.hup()
        years.rest(service, 60 + len(wanted))
        done += wanted
        made = len(years.control("orders")) - before
        assert made == len([a for a in wanted if a["action"] == "renewal"])
        for order in years.orders().values():
            if order["state"] == "issued" and not replaced(years, order):
                assert years.until(order["notAfter"]) > 7 * DAY
        todo = years.plan(760)
    kinds = [a["action"] for a in done]
    assert years.count("order/reissue") == kinds.count("reissue")
    assert years.count("order/neworder") == len(names) + kinds.count(
        "renewal")
    then, now = history(foreseen, years), history(done, years)
    odd = [n for n in names if not same(then[n], now[n], years.date(), late)]
    assert len(odd) <= len(names) // 50, [(then[n], now[n]) for n in odd]
    # Lives of 199 and 99 days, less the 30 before their end.
    assert all(8 <= len(now[n]) <= 10 for n in names), now
    # Superseded orders run out, and nobody minds.
    assert years.json("order", "list", "--expiring", "7").objects == []
    service.stop()
    years.all_good()


def replaced(years, order):
    return years.rows("SELECT 1 FROM orders WHERE renews = ? AND state = 2",
                      order["id"])
