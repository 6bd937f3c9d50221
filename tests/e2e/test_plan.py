# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard plan: what will be renewed when, by what, and what is missing."""

import os

import pytest

from lab_order import order_world  # noqa: F401
from lab_renew import DAY, service, years  # noqa: F401


def proofs(action):
    return {p["name"]: p for p in action["proofs"]}


def test_nothing_to_do(years):
    """Without a book, and with one in which nothing is due."""
    done = years.run("plan")
    assert done.status == 0 and done.out == ""
    years.place("www.example.com")
    assert years.plan(30) == []


def test_what_comes(years):
    """Day, kind, proofs and who publishes them; and the one behind it."""
    order = years.place("www.example.com", "--san", "example.org",
                        product="positivemdcssl")
    first, second = years.plan(260)
    assert first["id"] == order["id"] and first["local"] == "L1"
    assert (first["action"], first["number"]) == ("reissue", 1)
    assert (second["action"], second["number"]) == ("reissue", 2)
    assert second["ends"] == first["until"] and second["due"] > first["due"]
    assert first["key"] == "new" and first["problem"] is None
    # 168 days after the proof: too long ago for the rules of 2027.
    for one in proofs(first).values():
        assert one["dcv"] == "dns" and one["accounts"] == "lab"
        assert one["proof"] == "needed" and one["missing"] is None
        assert one["proven"].startswith("2026-11-22T")
    # 69 days after the next one.
    assert {p["proof"] for p in second["proofs"]} == {"perhaps"}
    text = years.run("plan", "--days", "260")
    assert text.status == 0
    assert "reissue  %s" % order["id"] in text.out
    assert "www.example.com: dns, needed, by lab" in text.out


def test_an_earlier_proof_is_used(years, service):
    """The CA may; the plan says perhaps, and nothing is published."""
    years.control("behaviour", dcv_reuse=True)
    order = years.place("www.example.com", "--renew-before", "120d")
    action = years.plan(100)[0]
    assert action["proofs"][0]["proof"] == "perhaps"
    years.go(years.offset + years.until(action["due"]) + 60)
    service.start()
    years.rest(service)
    shown = years.order("show", order["id"])
    assert shown["notAfter"] > order["notAfter"]
    assert [e["event"] for e in shown["events"]].count("publishing") == 1
    years.all_good()


def test_orders_that_are_not_renewed(years):
    """Off by the configuration or for itself, or placed elsewhere."""
    years.place("a.example.com", "--renew-before", "off")
    action, = years.plan(200)
    assert action["action"] == "none" and action["due"] is None
    years.order("refresh", action["id"], "--renew-before", "default")
    assert years.plan(200)[0]["action"] == "reissue"
    years.controller("store", renew_before="off")
    assert years.plan(200)[0]["action"] == "none"
    # What is said for one order counts more.
    shown = years.order("refresh", action["id"], "--renew-before", "20d")
    assert shown["renewal"]["before"] == 20 * 86400
    assert years.plan(200)[0]["action"] == "reissue"
    years.controller("store")
    os.unlink(years.state + "/orders.db")
    years.order("import", action["id"])
    assert years.plan(200)[0]["action"] == "none"
    years.order("refresh", action["id"], "--renew-before", "20d")
    assert years.plan(200)[0]["action"] == "reissue"


def test_a_route_is_missing(years):
    order = years.place("files.example.com")
    years.routes, kept = [], years.routes
    del years.accounts["lab"]
    years.write()
    action = years.plan(200, status=3)[0]
    assert action["id"] == order["id"]
    assert proofs(action)["files.example.com"]["missing"]
    text = years.run("plan", "--days", "200")
    assert text.status == 3 and "missing: files.example.com: " in text.out
    years.routes = kept


@pytest.mark.parametrize("what", ["account", "token"])
def test_credentials_are_missing(years, what):
    years.place("www.example.com")
    secret = years.token_file if what == "token" else \
        years.accounts["lab"]["key-secret-file"]
    os.rename(secret, secret + ".away")
    action = years.plan(200, status=3)[0]
    found = action["missing"] if what == "token" else \
        action["proofs"][0]["missing"]
    assert secret in found
    assert ("controller store" if what == "token" else "account lab") in found


def test_both(years):
    """Something is missing, and another order has no future."""
    years.go(years.offset + years.until("2028-01-20T12:00:00Z"))
    order = years.new("positivessl", years.csr("a.example.com"), "email",
                      "--approver-email", "admin@example.com")
    years.control("approve", order=order["id"])
    years.order("refresh", order["id"], "--wait")
    years.place("www.example.com")
    assert len(years.plan(80, status=1)) == 2
    os.rename(years.token_file, years.token_file + ".away")
    years.plan(80, status=7)


def test_usage(years):
    for args in (["--days", "x"], ["--days", "-1"], ["--wait"], ["word"]):
        done = years.run("plan", *args)
        assert done.status == 2, done
