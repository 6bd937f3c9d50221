# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Orders placed, proven, fetched and looked after: what works."""

import json
import os

import pytest

from lab_order import (  # noqa: F401
    CONTACT, WHOLE, counter, names, order_world, public)

import sslstore_products                # noqa: E402
from lab_placard import ROOT            # noqa: E402

STATES = {"placing", "pending", "issued", "reissuing", "cancelled",
          "revoked", "expired", "failed"}


def issued(counter, done):
    """One order, one certificate, of our key; nothing left."""
    assert done.status == 0, done
    order = done.objects[0]
    assert order["state"] == "issued" and order["step"] == "rest"
    assert order["error"] is None
    assert order["certificate"]["serial"] == order["serial"]
    counter.all_good()
    return order


def test_dns(counter):
    done = counter.json(*counter.new_args("positivessl", None, "dns",
                                          "--wait"))
    order = issued(counter, done)
    assert counter.count("order/neworder") == 1
    cert = counter.leaf(order["id"])
    assert public(cert.public_key()) == counter.spki("www.example.com")
    assert order["names"] == ["www.example.com"]
    assert order["id"] == order["store"]["TheSSLStoreOrderID"]
    body = counter.bodies("order/neworder")[0]
    assert body["CNAMEAuthDVIndicator"] and body["CSRUniqueValue"]
    assert body["ApproverEmail"] == "admin@example.com"
    shown = counter.order("show", order["local"])
    assert [e["event"] for e in shown["events"]] == [
        "placed", "publishing", "visible", "rechecked", "state",
        "certificate", "cleaned"]
    assert "PRIVATE" not in open(os.path.join(
        counter.state, "orders.db"), "rb").read().decode("latin-1")


def test_file(counter):
    csr = counter.csr("files.example.com")
    order = issued(counter, counter.json(*counter.new_args(
        "positivessl", csr, "file", "--wait")))
    assert order["challenges"][0]["path"].startswith(
        "/.well-known/pki-validation/")


def test_mixed(counter):
    """CNAME, file and e-mail in one order."""
    csr = counter.csr("www.example.com", "files.example.com", "example.org")
    args = counter.new_args(
        "positivemdcssl", csr, "dns", "--dcv", "files.example.com=file",
        "--dcv", "example.org=email", "--approver-email",
        "admin@example.org")
    order = counter.json(*args)
    assert order.status == 0, order
    order = order.objects[0]
    assert order["state"] == "pending"
    assert [c["dcv"] for c in order["challenges"]] == ["dns", "file",
                                                       "email"]
    body = counter.bodies("order/neworder")[0]
    assert body["ApproverEmail"] == "DNS,HTTP,admin@example.org"
    assert body["DNSNames"] == ["files.example.com", "example.org"]
    assert body["ReserveSANCount"] == 2
    counter.control("approve", order=order["id"], domain="example.org")
    done = counter.json("order", "refresh", order["id"], "--wait")
    issued(counter, done)
    assert set(names(counter.leaf(order["id"]))) == {
        "www.example.com", "files.example.com", "example.org"}


def test_wildcard(counter):
    csr = counter.csr("*.example.com")
    order = issued(counter, counter.json(*counter.new_args(
        "positivesslwildcard", csr, "dns", "--wait")))
    assert order["names"] == ["*.example.com"]


@pytest.mark.parametrize("flag", ["cname", "txt"])
def test_digicert(counter, flag):
    """The random value, as CNAME and as TXT, with a re-check asked for."""
    counter.control("behaviour", digicert_cname_flag=flag,
                    txt_owner="_dnsauth")
    order = issued(counter, counter.json(*counter.new_args(
        "digi_rapidssl", None, "dns", "--wait")))
    assert order["challenges"][0]["method"] == (
        "dns-cname" if flag == "cname" else "dns-txt")
    assert order["challenges"][0]["name"] == "_dnsauth.www.example.com"
    assert counter.count("digicert/checkdcv") == 1


def test_digicert_file(counter):
    csr = counter.csr("files.example.com")
    order = issued(counter, counter.json(*counter.new_args(
        "digi_rapidssl", csr, "file", "--wait")))
    assert order["challenges"][0]["path"].endswith("/fileauth.txt")


def test_existing_organisation(counter):
    contact = counter.json_file("eo.json", WHOLE | {
        "TSSOrganizationId": 4711})
    found = counter.json("order", "organizations").objects
    assert {o["id"] for o in found} == {4711, 4712, 4713}
    csr = counter.csr("www.example.com", "api.example.com")
    order = issued(counter, counter.json(
        *counter.new_args("digi_securesite_flex-EO", csr, "dns",
                          "--contact", contact, "--wait")))
    assert order["product"] == "digi_securesite_flex-EO"
    body = counter.bodies("order/neworder")[0]
    assert body["ProductCode"] == "digi_securesite_flex"
    assert body["TSSOrganizationId"] == 4711
    assert body["OrganizationInfo"] == {"OrganizationAddress": {}}


def test_email(counter):
    counter.control("moods", address_case="mixed", approver_junk="yes")
    listed = counter.json("order", "approvers", "--product", "positivessl",
                          "www.example.com").objects[0]["approvers"]
    assert "Admin@example.com" in listed
    assert not [a for a in listed if "geotrust" in a]
    order = counter.new("positivessl", None, "email", "--approver-email",
                        "admin@example.com")
    assert order["challenges"][0]["method"] == "email"
    counter.order("resend", order["id"])
    counter.order("resend", order["id"], "--email",
                  "webmaster@example.com")
    assert [m["to"] for m in counter.control("mails")][-1] == \
        "webmaster@example.com"
    assert counter.order("refresh", order["id"])["state"] == "pending"
    counter.control("approve", order=order["id"])
    order = counter.order("refresh", order["id"])
    assert order["state"] == "issued"
    assert order["certificate"]["serial"]
    counter.all_good()


def test_method(counter):
    """From e-mail to DNS, and the rest by itself."""
    order = counter.new("positivessl", None, "email", "--approver-email",
                        "admin@example.com")
    done = counter.json("order", "method", order["id"], "--dcv", "dns",
                        "--wait")
    issued(counter, done)


def test_other_kinds(counter):
    """No domains: code signing, a scan."""
    for product in ("comodocsc", "digi_csc", "comodopciscan"):
        csr = counter.csr("Example Widgets" if product != "comodopciscan"
                          else "www.example.com")
        order = counter.new(product, csr, None, "--approver-email",
                            "pki@example.com")
        assert order["state"] == "pending", order
        assert order["challenges"] == []
    counter.all_good()


def test_every_product(counter):
    """Each row: all fields missing at once, then none and an order."""
    for product in counter.json("product", "list").objects:
        code = product["code"]
        fake = sslstore_products.PRODUCTS[code.removesuffix("-EO")]
        wild = fake.wildcard and not fake.multi
        csr = counter.csr("*.example.com" if wild else "www.example.com")
        base = ["order", "new", "--product", code, "--csr", csr]
        dcv = ["--dcv", "dns"] if fake.for_domains else []
        before = len(counter.bodies("order/neworder"))
        done = counter.json(*base, *dcv)
        assert done.status == 2, done
        wanted = {f for f in product["required"] if not f.endswith(
            "Indicator") and f != "SignatureHashAlgorithm" and not (
                dcv and f == "ApproverEmail")}
        said = done.errors()[0]["text"]
        assert all(f in said for f in wanted), (code, said)
        assert len(counter.bodies("order/neworder")) == before
        contact = WHOLE | ({"TSSOrganizationId": 4711}
                           if code.endswith("-EO") else {})
        done = counter.json(*base, *dcv, "--contact", counter.json_file(
            "one.json", contact), *([] if dcv else [
                "--approver-email", "pki@example.com"]))
        assert done.status == 0, done
        assert done.objects[0]["state"] == "pending"
    assert len(counter.control("orders")) == 77
    counter.all_good()


def test_list(counter):
    one = counter.new()
    two = counter.new("positivessl", None, "dns", "--wait")
    every = counter.json("order", "list").objects
    assert [o["id"] for o in every] == [one["id"], two["id"]]
    assert {o["state"] for o in every} <= STATES
    assert [o["id"] for o in counter.json(
        "order", "list", "--state", "issued").objects] == [two["id"]]
    assert counter.json("order", "list", "--expiring", "30").objects == []
    assert [o["id"] for o in counter.json(
        "order", "list", "--expiring", "400").objects] == [two["id"]]
    text = counter.ok("order", "list").lines
    assert len(text) == 2 and one["id"] in text[0]


def test_same_request_twice(counter):
    """Two orders with one CSR: each has its own unique value."""
    csr = counter.csr()
    one = counter.new("positivessl", csr)
    two = counter.new("positivessl", csr)
    assert one["id"] != two["id"]
    values = {b["CSRUniqueValue"] for b in counter.bodies("order/neworder")}
    assert len(values) == 2


@pytest.mark.parametrize("days, months", [(365, 12), (398, 12), (730, 24)])
def test_days(counter, days, months):
    counter.new("positivessl", None, "dns", "--days", str(days))
    body = counter.bodies("order/neworder")[0]
    assert body["ValidityPeriod"] == months


def test_dry_run(counter):
    done = counter.json(*counter.new_args("positivessl", None, "dns",
                                          "--dry-run"))
    assert done.status == 0, done
    assert done.objects[0]["request"]["ProductCode"] == "positivessl"
    assert counter.requests() == []
    assert not os.path.exists(os.path.join(counter.state, "orders.db"))


def test_cancel_revoke_delete_import(counter):
    order = counter.new()
    gone = counter.order("cancel", order["id"], "--reason", "not wanted")
    assert gone["state"] == "cancelled"
    assert counter.control("order", order=order["id"])["major"] == \
        "Cancelled"
    order = counter.new("positivessl", None, "dns", "--wait")
    gone = counter.order("revoke", order["id"], "--reason", "key lost")
    assert gone["state"] == "revoked"
    assert counter.control("order", order=order["id"])["major"] == "Revoked"
    counter.ok("order", "delete", order["id"])
    done = counter.run("order", "show", order["id"])
    assert done.status == 2 and "import" in done.err
    back = counter.order("import", order["id"])
    assert back["state"] == "revoked" and back["id"] == order["id"]
    assert back["names"] == ["www.example.com"]
    assert back["product"] == "positivessl"
    counter.all_good()


def test_refund_that_takes_time(counter):
    counter.control("behaviour", refund="manual")
    order = counter.new("positivessl", None, "dns", "--wait")
    asked = counter.order("cancel", order["id"])
    assert asked["state"] == "issued" and asked["store"]["RefundRequestID"]
    counter.control("refund", order=order["id"])
    assert counter.order("refresh", order["id"])["state"] == "cancelled"
    counter.all_good()


def test_cancel_takes_back(counter):
    """What is published for an order that is called off is removed."""
    counter.control("behaviour", issue_delay=3600)
    done = counter.json("order", "new", *counter.new_args()[2:], "--wait",
                        "--timeout", "3")
    assert done.status == 6, done
    order = done.objects[0]
    assert order["state"] == "pending"
    assert len(counter.listed()) == 1
    assert counter.order("cancel", order["id"])["state"] == "cancelled"
    counter.all_good()


def test_download(counter):
    for files in ("root-first", "leaf-first", "shuffle", "bundle",
                  "mixed-bundle"):
        counter.control("moods", files=files, pem="percent",
                        pem_eol="lf", ids="null")
        order = counter.new("positivessl", None, "dns", "--wait")
        assert order["state"] == "issued"
        out = os.path.join(counter.dir, "dl-" + files)
        done = counter.ok("order", "download", order["id"], "--out", out)
        assert sorted(os.listdir(out)) == ["cert.pem", "chain.pem",
                                           "fullchain.pem", "root.pem"]
        assert len(done.lines) == 4
        full = open(os.path.join(out, "fullchain.pem")).read()
        assert full.count("BEGIN CERTIFICATE") == 2
    counter.all_good()


# the next certificate

def multi(counter):
    csr = counter.csr("www.example.com", "shop.example.com", "example.org")
    done = counter.json(*counter.new_args("positivemdcssl", csr, "dns",
                                          "--wait"))
    assert done.status == 0, done
    return done.objects[0]


def test_reissue(counter):
    order = multi(counter)
    old = counter.leaf(order["id"])
    csr = counter.csr("www.example.com")
    new = counter.order("reissue", order["id"], "--csr", csr, "--add-san",
                        "example.net", "--remove-san", "example.org",
                        "--wait")
    assert new["state"] == "issued" and new["id"] == order["id"]
    assert new["store"]["PartnerOrderID"] != \
        order["store"]["PartnerOrderID"]
    assert new["names"] == ["www.example.com", "shop.example.com",
                            "example.net"]
    cert = counter.leaf(order["id"])
    assert cert.serial_number != old.serial_number
    assert set(names(cert)) == set(new["names"])
    assert public(cert.public_key()) == counter.spki("www.example.com")
    assert len(counter.rows("SELECT * FROM certificates")) == 2
    counter.all_good()


@pytest.mark.parametrize("days, word", [(30, "renewal"), (29, "renewal"),
                                        (32, "reissue")])
def test_renew(counter, days, word):
    """Both sides of the window; nothing is lost on the way."""
    order = multi(counter)
    counter.control("expire", order=order["id"], days=days)
    new = counter.order("renew", order["id"], "--csr",
                        counter.csr("www.example.com"), "--wait")
    assert new["state"] == "issued"
    if word == "renewal":
        assert new["id"] != order["id"] and new["renews"] == order["id"]
        body = counter.bodies("order/neworder")[-1]
        assert body["isRenewalOrder"]
        assert body["RelatedTheSSLStoreOrderID"] == order["id"]
        assert body["AdminContact"]["FirstName"] == "Ada"
    else:
        assert new["id"] == order["id"]
        assert counter.count("order/reissue") == 1
    assert set(names(counter.leaf(new["id"]))) == {
        "www.example.com", "shop.example.com", "example.org"}
    counter.all_good()


def test_renew_imported(counter):
    """An order that was placed elsewhere: the store's word alone, with the
    country's whole name, and the CSR given."""
    contact = counter.json_file("ov.json", WHOLE)
    done = counter.json(*counter.new_args(
        "sectigomdc", counter.csr("www.example.com", "shop.example.com"),
        "dns", "--contact", contact, "--wait"))
    order = issued(counter, done)
    counter.ok("order", "delete", order["id"])
    counter.control("moods", country="name")
    counter.ok("order", "import", order["id"])
    counter.control("expire", order=order["id"], days=10)
    done = counter.run("order", "renew", order["id"])
    assert done.status == 2 and "--csr" in done.err
    new = counter.order("renew", order["id"], "--csr",
                        counter.csr("www.example.com"), "--wait")
    body = counter.bodies("order/neworder")[-1]
    address = body["OrganizationInfo"]["OrganizationAddress"]
    assert address["Country"] == "US" and address["Region"] == "Ohio"
    assert body["OrganizationInfo"]["OrganizationName"] == "Example Widgets"
    assert body["DNSNames"] == ["shop.example.com"]
    assert new["state"] == "issued"
    counter.all_good()


def test_window_of_the_configuration(counter):
    counter.controller("store", timeout=4, renewal_window=400)
    counter.write()
    order = counter.new("positivessl", None, "dns", "--wait")
    new = counter.order("renew", order["id"])
    assert new["renews"] == order["id"] and new["state"] == "pending"
    bodies = counter.bodies("order/neworder")
    assert bodies[0]["CSR"] == bodies[1]["CSR"]
    assert bodies[0]["CSRUniqueValue"] != bodies[1]["CSRUniqueValue"]


def test_two_controllers(counter):
    """Live and sandbox are two books in one."""
    extra = counter.extra
    counter.extra += extra.replace('"store"', '"sandbox"')
    counter.write()
    done = counter.run(*counter.new_args())
    assert done.status == 3 and "--controller" in done.err
    order = counter.new("positivessl", None, "dns", "--controller",
                        "sandbox")
    assert order["controller"] == "sandbox"
    assert counter.json("order", "list", "--controller",
                        "store").objects == []
    assert json.dumps(order["id"]) and counter.order(
        "refresh", order["id"])["state"] == "pending"


def test_manual(counter):
    """placard-orders(7) has every state, step, category and its fields."""
    with open(os.path.join(ROOT, "man", "placard-orders.7"),
              encoding="utf-8") as text:
        manual = text.read()
    sections = {}
    for part in manual.split(".It Cm ")[1:]:
        name, _, body = part.partition("\n")
        sections[name] = body.split(".El")[0]
    assert STATES <= set(sections)
    assert {"place", "publish", "recheck", "poll", "fetch", "clean",
            "rest"} <= set(sections)

    def fields(name):
        body = sections[name]
        for base in sections:
            if "As %s, and" % base in body:
                body += fields(base)
        return body

    for product in counter.json("product", "list").objects:
        body = fields(product["category"])
        for field in product["required"]:
            assert all(part in body for part in field.split(".")), (
                product["category"], field)
