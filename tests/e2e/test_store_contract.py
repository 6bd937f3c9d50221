# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""What goes to the store, against the field tables of the published facts.

First the table that the fake checks requests with is compared with the facts
themselves, read by machine; then every call that placard makes is made, and
none may depart from that table.
"""

import functools
import pathlib
import re

import pytest

import lab
from lab_daemon import Daemon
from lab_order import WHOLE, counter, order_world  # noqa: F401

import sslstore_contract as contract    # noqa: E402
from sslstore_world import shared       # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
KINDS = {"S": "S", "I": "I", "B": "B", "A[S]": "A", "string": "S",
         "bool": "B"}


@functools.lru_cache
def facts():
    """The facts by section number: {"2.2": text}."""
    text = shared("sslstore-api.md").read_text(encoding="utf-8")
    parts = re.split(r"^###? ([0-9.]+)\.? .*$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def rows(section):
    """Rows of the first table of a section."""
    for line in facts()[section].splitlines():
        if line.startswith("|") and not line.startswith(("|---", "| Field")):
            yield [c.strip() for c in line.strip("|").split(" | ")]


def names(cell):
    return [n.strip(" `") for n in cell.split(",")]


def listed(text):
    """Member names in a list of prose: "FirstName, LastName, ..."."""
    return set(re.findall(r"\b[A-Z][A-Za-z0-9]+\b", text))


def test_neworder():
    """Section 2.2: each name, its type, and whether it is needed (section
    5.1 needs some more for all products)."""
    base = facts()["5.1"].split("Base for all: ")[1].split(" (KFG")[0]
    base = set(names(base)) - {"AuthRequest"}
    assert len(base) == 8
    table = dict(contract.CALLS["/order/neworder"]["table"])
    assert table.pop("AuthRequest") == ("=Auth", True)
    for cell, kind, needed, *note in rows("2.2"):
        for name in names(cell):
            if name == "OrganizationInfo.OrganizationAddress":
                have = set(contract.OBJECTS["Address"])
                assert have <= listed(note[0]), have - listed(note[0])
                assert {"AddressLine1", "LocalityName", "Phone"} <= have
                continue
            have, must = table.pop(name)
            if kind == "object":
                assert have[0] == "=", name
            else:
                assert have == KINDS[kind], name
            assert must == (needed == "yes" or name in base), name
            if name == "OrganizationInfo":
                assert set(contract.OBJECTS["Organisation"]) == listed(
                    note[0])
            elif name == "AdminContact":
                assert set(contract.OBJECTS["Contact"]) == listed(note[0])
    assert table == {}


def test_credentials():
    """Section 1.3."""
    table = dict(contract.OBJECTS["Auth"])
    for cell, kind, *_ in rows("1.3"):
        for name in names(cell):
            assert table.pop(name)[0] == KINDS[kind], name
    assert table == {}


def test_other_calls():
    """Every member of every other table stands in its section, in this
    letter case; and every one that the section lists has a row."""
    places = {"/order/status": "2.4", "/order/reissue": "2.5",
              "/order/query": "2.6", "/order/getmodifiedorderssummary": "2.6",
              "/order/inviteorder": "2.8",
              "/csr": "2.9", "/order/approverlist": "2.10",
              "/order/changeapprovermethod": "2.10", "/product/query": "2.11"}
    for path, section in places.items():
        text = facts()[section]
        if path == "/order/changeapprovermethod":
            text += facts()["2.4"]
        words = set(re.findall(r"[A-Za-z0-9]+", text))
        for name in contract.CALLS[path]["table"]:
            assert name == "AuthRequest" or name in words, (path, name)
    shape = facts()["2.4"].split("For status only")[0]
    for name in re.findall(r"`([A-Z][A-Za-z0-9]+)`", shape):
        assert name in contract.CALLS["/order/status"]["table"], name
    first = facts()["2.5"].split("\n* ")[0].split("\n\n", 2)[2]
    for name in re.findall(r"`([A-Z][A-Za-z0-9]+)`", first):
        assert name in contract.CALLS["/order/reissue"]["table"] or \
            name in contract.OBJECTS["Pair"], name


def ours():
    """The paths that placard itself asks for, as its sources have them."""
    found = set()
    for path in (ROOT / "agent").glob("*.c"):
        found |= set(re.findall(
            r'"((?:order|digicert|product|health|user|csr)/[a-z]+)"',
            path.read_text(encoding="utf-8")))
    return found


@pytest.mark.quick
def test_every_call_keeps_the_contract(counter):
    """Made by the commands, with all that they can send."""
    eo = counter.json_file("eo.json", WHOLE | {"TSSOrganizationId": 4711})
    admin = "admin@example.com"
    counter.ok("product", "list")
    counter.ok("order", "organizations")
    counter.ok("order", "approvers", "--product", "positivemdcssl",
               "example.com")
    three = counter.csr("www.example.com", "shop.example.com",
                        "files.example.com")
    mixed = counter.new("positivemdcssl", three, "dns", "--dcv",
                        "shop.example.com=email", "--dcv",
                        "files.example.com=file", "--approver-email", admin,
                        "--months", "24", "--servers", "-1", "--server-type",
                        "apache2")
    counter.ok("order", "resend", mixed["id"])
    counter.ok("order", "resend", mixed["id"], "--email",
               "webmaster@example.com")
    counter.ok("order", "method", mixed["id"], "--dcv", "dns", "--domain",
               "shop.example.com")
    counter.ok("order", "method", mixed["id"], "--dcv", "email", "--domain",
               "shop.example.com", "--email", admin)
    counter.control("approve", order=mixed["id"], domain="shop.example.com")
    done = counter.json("order", "refresh", mixed["id"], "--wait")
    assert done.status == 0, done
    counter.ok("order", "reissue", mixed["id"], "--csr", counter.csr(
        "www.example.com", "example.org"), "--add-san", "example.org",
        "--remove-san", "files.example.com", "--remove-san",
        "shop.example.com", "--wait")
    counter.new("digi_ssl123_flex", counter.csr(
        "*.example.net", "example.org"), "dns", "--wait")
    counter.new("digi_securesite_flex-EO", None, "dns", "--contact", eo)
    last = counter.new("positivessl", None, "dns", "--days", "365", "--wait")
    counter.ok("order", "revoke", last["id"], "--reason", "key lost")
    counter.new("positiveevmdc", three, "dns")
    counter.new("comodocsc", counter.csr("Example Widgets"), None,
                "--approver-email", admin)
    counter.ok("order", "sync", "--full")
    counter.ok("order", "sync")
    counter.ok("order", "import", mixed["id"])
    counter.control("expire", order=mixed["id"], days=20)
    counter.ok("order", "renew", mixed["id"], "--csr", counter.csr(
        "www.example.com", "example.org"))
    gone = counter.new()
    counter.faults({"action": "lost", "path": "/order/refundrequest"})
    counter.ok("order", "cancel", gone["id"], "--reason", "host retired")
    lost = counter.new_args()
    counter.faults({"action": "lost", "path": "/order/neworder"},
                   {"action": "error", "path": "/order/status", "times": 1,
                    "text": "Order not found"})
    assert counter.json(*lost).status == 0
    # What only placardd asks: whether there is credit for what is to come.
    with Daemon(counter) as daemon:
        lab.wait_for(lambda: "user/accountdetail" in counter.paths(),
                     "the service to look ahead")
        daemon.stop()
    asked = set(counter.paths())
    assert len(ours()) >= 15
    assert ours() <= asked, ours() - asked
    assert {p for p in asked if "/" + p not in contract.CALLS} == set()
    counter.clean()
