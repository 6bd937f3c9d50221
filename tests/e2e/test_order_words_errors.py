# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The small order commands when something is wrong: what the store refuses
reaches the user with its number and text, what changes something is not sent
twice, and the book tells the truth afterwards.
"""

import os

import pytest

from lab_order import counter, order_world  # noqa: F401

REFUSED = "ErrorCode:-9042|Message:Vendor says: not today"
SAID = "-9042: Vendor says: not today"
ADMIN = "admin@example.com"
NEW_MAIL = "webmaster@example.com"


def text(done):
    return " ".join(e["text"] for e in done.errors()) + done.err


@pytest.fixture
def mailed(counter):
    """An order that waits for an e-mail."""
    counter.number = counter.new("positivessl", None, "email",
                                 "--approver-email", ADMIN)["id"]
    return counter


@pytest.fixture
def issued(counter):
    counter.number = counter.new("positivessl", None, "dns", "--wait")["id"]
    return counter


def failing(counter, status, words, *args):
    done = counter.json("order", *args)
    assert done.status == status, done
    assert words in text(done), done
    return done


# path, and what asks for it
REFUSALS = [
    ("order/resend", ["resend", "ID"]),
    ("order/changeapproveremail", ["resend", "ID", "--email", NEW_MAIL]),
    ("order/approverlist", ["resend", "ID", "--email", NEW_MAIL]),
    ("order/changeapprovermethod", ["method", "ID", "--dcv", "dns"]),
    ("order/approverlist", ["approvers", "--product", "positivessl",
                            "example.com"]),
    ("digicert/organizationlist", ["organizations"]),
    ("order/refundrequest", ["cancel", "ID"]),
    ("order/status", ["import", "ID"]),
    ("order/status", ["refresh", "ID"]),
    ("order/status", ["method", "ID", "--dcv", "dns"]),
]
REFUSALS_ONCE_ISSUED = [
    ("order/certificaterevokerequest", ["revoke"]),
    ("order/refundrequest", ["cancel"]),
    ("order/reissue", ["reissue", "--csr", "CSR"]),
    ("order/neworder", ["renew", "--csr", "CSR"]),
]
LOST = [
    ("order/resend", ["resend"]),
    ("order/changeapproveremail", ["resend", "--email", NEW_MAIL]),
    ("order/changeapprovermethod", ["method", "--dcv", "dns"]),
]


def test_refused(mailed):
    for path, args in REFUSALS:
        mailed.control("clear")
        mailed.faults({"action": "error", "path": "/" + path,
                       "text": REFUSED, "times": 0})
        done = failing(mailed, 1, SAID, *[mailed.number if a == "ID" else a
                                          for a in args])
        assert "sslstore: %s: " % path.removeprefix("order/") in text(done)
        assert mailed.count(path) == 1
        shown = mailed.order("show", mailed.number)
        assert shown["state"] == "pending", path
        assert shown["dcv"] == {"www.example.com": "email"}, path
        mailed.clean()


def test_refused_once_issued(issued):
    csr = issued.csr()
    for path, args in REFUSALS_ONCE_ISSUED:
        # Inside the window for a renewal, which goes by neworder.
        issued.control("expire", order=issued.number, days=5)
        issued.control("clear")
        issued.faults({"action": "error", "path": "/" + path,
                       "text": REFUSED, "times": 0})
        failing(issued, 1, SAID, args[0], issued.number,
                *[csr if a == "CSR" else a for a in args[1:]])
        assert issued.count(path) == 1
        shown = issued.order("show", issued.number)
        assert shown["state"] == "issued", path
    issued.all_good()


# answers that are lost

def test_lost(mailed):
    """Said as a passing fault; nobody knows, so nobody sends it again."""
    for path, args in LOST:
        mailed.control("clear")
        mailed.faults({"action": "lost", "path": "/" + path})
        done = failing(mailed, 6, "sslstore: ", args[0], mailed.number,
                       *args[1:])
        assert done.errors()[0]["retry"] is True
        assert mailed.count(path) == 1


def test_lost_revocation(issued):
    """A refresh finds out that it was carried out."""
    issued.faults({"action": "lost",
                   "path": "/order/certificaterevokerequest"})
    failing(issued, 6, "sslstore: ", "revoke", issued.number)
    assert issued.count("order/certificaterevokerequest") == 1
    assert issued.order("refresh", issued.number)["state"] == "revoked"


def test_lost_refund_and_nobody_to_ask(mailed):
    mailed.faults({"action": "lost", "path": "/order/refundrequest"},
                  {"action": "status", "path": "/order/refundstatus",
                   "times": 0})
    failing(mailed, 6, "sslstore: refundrequest: ", "cancel",
            mailed.number)
    assert mailed.count("order/refundrequest") == 1
    mailed.faults()
    assert mailed.order("refresh", mailed.number)["state"] == "cancelled"
    mailed.all_good()


def test_refund_that_is_too_late(issued):
    issued.control("behaviour", refund="refuse")
    failing(issued, 1, "sslstore: refundrequest: ", "cancel",
            issued.number)
    assert issued.order("show", issued.number)["state"] == "issued"


# usage

USAGE = [
    (["show", "99"], "not in the book"), (["refresh", "L99"], "L99"),
    (["resend", "99"], "99"), (["method", "99", "--dcv", "dns"], "99"),
    (["cancel", "99"], "99"), (["revoke", "99"], "99"),
    (["delete", "99"], "99"), (["renew", "99"], "99"),
    (["download", "99", "--out", "x"], "99"),
    (["reissue", "99", "--csr", "none"], "99"),
    (["download", "ID"], "--out"), (["reissue", "ID"], "--csr"),
    (["method", "ID"], "--dcv"),
    (["method", "ID", "--dcv", "https-file"], "https-file"),
    (["method", "ID", "--dcv", "dns", "--domain", "example.net"],
     "not one that waits"),
    (["method", "ID", "--dcv", "email", "--email", "eve@example.net"],
     "cannot approve"),
    (["resend", "ID", "--email", "eve@example.net"], "approves none"),
    (["approvers", "example.com"], "--product"),
    (["approvers", "--product", "positivesl", "example.com"],
     "positivessl"),
    (["approvers", "--product", "positivessl", "x..com"],
     "x..com"),
    (["revoke", "ID"], "no certificate"), (["reissue", "ID", "--csr", "CSR"],
                                           "only an issued one"),
    (["list", "--state", "lost"], "placing, pending"),
    (["list", "--expiring", "soon"], "--expiring"),
]
CHANGING = {"order/resend", "order/changeapproveremail",
            "order/changeapprovermethod", "order/refundrequest",
            "order/certificaterevokerequest", "order/reissue",
            "order/neworder"}


def test_usage(mailed):
    """Told before anything is changed."""
    csr = mailed.csr()
    mailed.control("clear")
    for args, words in USAGE:
        failing(mailed, 2, words, *[
            {"ID": mailed.number, "CSR": csr}.get(a, a) for a in args])
    assert not CHANGING & set(mailed.paths())


def test_nothing_to_renew(counter):
    """An order that waits has no end yet, and is not bought twice."""
    order = counter.new()
    failing(counter, 2, "is pending: there is nothing to renew", "renew",
            order["id"])
    counter.order("cancel", order["id"])
    failing(counter, 2, "is cancelled: there is nothing to renew", "renew",
            order["id"])
    assert counter.count("order/neworder") == 1


def test_certificate_over_order_not(issued):
    """The order has a year to go: a reissue is asked for, and it is for the
    store to say no."""
    issued.control("advance", order=issued.number, state="Expired")
    issued.control("expire", order=issued.number, days=300)
    failing(issued, 1, "sslstore: reissue: ", "renew", issued.number,
            "--csr", issued.csr())
    assert issued.count("order/reissue") == 1
    assert issued.count("order/neworder") == 1


def test_nothing_waits(issued):
    failing(issued, 2, "waits", "resend", issued.number)
    failing(issued, 2, "waits", "method", issued.number, "--dcv", "dns")


def test_wildcard_by_file(counter):
    order = counter.new("positivesslwildcard", counter.csr("*.example.com"))
    failing(counter, 2, "wildcard", "method", order["id"], "--dcv", "file")
    assert counter.count("order/changeapprovermethod") == 0


def test_download(mailed, issued):
    """Without a certificate; into what is no directory."""
    waiting = mailed.new()
    failing(mailed, 6, "it has no certificate yet", "download",
            waiting["id"], "--out", os.path.join(mailed.dir, "out"))
    assert not os.path.exists(os.path.join(mailed.dir, "out"))
    failing(issued, 3, "contact.json", "download", issued.number, "--out",
            issued.contact)
    failing(issued, 3, "contact.json", "download", issued.number, "--out",
            issued.contact + "/below")


def test_import(mailed):
    """What can be had is had; the rest is said by its number."""
    number = mailed.control("seed", count=1)[0]
    done = mailed.json("order", "import", number, "99999999", "no-such-id")
    assert done.status == 7, done
    assert [o["id"] for o in done.objects if "id" in o] == [number]
    assert len(done.errors()) == 2


def test_lists_that_are_null(counter):
    null = ('{"AuthResponse": {"isError": false, "Message": null}, '
            '"ApproverEmailList": null, "OrganizationList": null}')
    counter.faults(*[{"action": "text", "path": "/" + path, "text": null}
                     for path in ("order/approverlist",
                                  "digicert/organizationlist")])
    assert counter.order("approvers", "--product", "positivessl",
                         "example.com")["approvers"] == []
    assert counter.json("order", "organizations").objects == []


def test_store_is_away(counter):
    """A passing fault; the order stays as it was."""
    order = counter.new()
    counter.controller("store", timeout=1, url="http://127.0.0.1:9")
    done = counter.json("order", "cancel", order["id"])
    assert done.status == 6, done
    assert done.errors()[0]["retry"] is True
    assert counter.order("show", order["id"])["state"] == "pending"
