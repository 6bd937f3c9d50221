# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The catalogue on the command line, with and without the store."""

import csv

import pytest

import lab
from lab_store import Shop, shop, sslstore, store  # noqa: F401

import sslstore_products                # noqa: E402
from sslstore_world import shared       # noqa: E402


def test_list(placard):
    """All of them, one object a line, without any configuration."""
    found = placard.ok("--json", "product", "list").objects
    assert len(found) == 77
    for one in found:
        assert {"code", "name", "vendor", "validation"} <= set(one)
        assert one["months"] == sorted(set(one["months"]))
        assert one["months-from"] == "built-in" and one["price"] is None
    lines = placard.ok("product", "list").lines
    assert len(lines) == 77
    assert [line.split()[0] for line in lines] == [o["code"] for o in found]


def test_same_as_published(placard):
    with open(shared("sslstore-products.csv"), encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    found = placard.ok("--json", "product", "list").objects
    assert [(o["code"], o["name"], o["vendor"], o["validation"],
             o["wildcard"], o["multi-domain"], o["existing-organization"])
            for o in found] == [
        (r["code"], r["name"], r["vendor"], r["validation"],
         r["wildcard"] == "yes", r["multi_domain"] == "yes",
         r["enterprise_org"] == "yes") for r in rows]


@pytest.mark.parametrize("options, count", [
    (("--vendor", "DIGICERT"), 32), (("--vendor", "sectigo"), 10),
    (("--vendor", "comodo"), 35), (("--validation", "dv"), 16),
    (("--validation", "ev-code-signing"), 2),
    (("--vendor", "digicert", "--validation", "EV"), 10),
    (("--vendor", "sectigo", "--validation", "SCANNING"), 0)])
def test_filters(placard, options, count):
    assert len(placard.ok("product", "list", *options).lines) == count


def test_required_as_the_store_has_it(placard):
    """Every row's fields against those that the fake asks for."""
    for one in placard.ok("--json", "product", "list").objects:
        product = sslstore_products.PRODUCTS[
            one["code"].removesuffix("-EO")]
        body = {"TSSOrganizationId": 4711} if one["code"].endswith("-EO") \
            else {}
        assert set(one["required"]) == set(product.required(body)), one


def test_show(placard):
    text = placard.ok("product", "show", "digi_ssl_basic-EO").out
    assert "sent as    digi_ssl_basic, with TSSOrganizationId" in text
    assert "the store was not asked" in text
    one = placard.ok("--json", "product", "show", "POSITIVESSL").objects[0]
    assert one["code"] == "positivessl"
    assert one["required"] == ["AdminContact.Email", "ApproverEmail"]


def test_live(shop):
    """Months and prices are the store's where it is reachable."""
    one = shop.ok("--json", "product", "show", "digi_rapidssl").objects[0]
    assert one["months"] == [12, 24, 36] and one["months-from"] == "store"
    assert one["price"] == "9.00 USD" and one["listed"]
    twin = shop.ok("--json", "product", "show", "digi_ssl_basic-EO")
    assert twin.objects[0]["price"] == "49.00 USD"
    assert shop.requests()[-1]["body"]["ProductCode"] == "digi_ssl_basic"
    every = shop.ok("--json", "product", "list").objects
    assert len(every) == 77
    assert {o["months-from"] for o in every} == {"store"}
    codes = {o["code"]: o["months"] for o in every}
    for code, product in sslstore_products.PRODUCTS.items():
        assert codes[code] == list(product.months)
    assert len(shop.requests()) == 3
    shop.clean()


# what goes wrong

@pytest.mark.parametrize("args, words", [
    (("product", "show", "positivesl"), 'did you mean "positivessl"'),
    (("product", "show"), "one CODE expected"),
    (("product", "list", "x"), "no more words"),
    (("product", "none"), "list or show CODE"),
    (("product", "list", "--vendor", "x"), "none of DIGICERT"),
    (("product", "list", "--validation", "x"), "none of DV"),
    (("product", "show", "positivessl", "--vendor", "comodo"),
     "are for list"),
    (("product", "list", "--controller"), "needs a value"),
])
def test_usage(placard, args, words):
    done = placard.run(*args)
    assert done.status == 2 and words in done.err, done


@pytest.mark.parametrize("fault", ["html", "reset", "status", "huge"])
def test_store_in_trouble(shop, fault):
    """The table is there all the same, and says where it comes from."""
    shop.faults({"action": fault, "times": 0})
    done = shop.json("product", "show", "positivessl")
    assert done.status == 0, done
    assert done.objects[0]["months-from"] == "built-in"
    assert "store-not-asked" in done.err
    assert "sslstore: product/query" in done.err


def test_nobody_there(shop):
    shop.controller("store", url="https://127.0.0.1:%d"
                    % lab.free_port("127.0.0.1"))
    done = shop.run("product", "list")
    assert done.status == 0 and len(done.lines) == 77


def test_wrong_token(shop):
    shop.token("WRONG-TOKEN")
    done = shop.run("product", "show", "positivessl")
    assert done.status == 4, done
    assert "-9008" in done.err and "WRONG-TOKEN" not in done.text()


def test_controller_names(shop):
    done = shop.run("product", "list", "--controller", "none")
    assert done.status == 3 and "controller none: not in" in done.err
    shop.controller("store", enabled=False)
    done = shop.run("product", "list", "--controller", "store")
    assert done.status == 3 and "is not enabled" in done.err
    assert shop.ok("product", "list").err == ""
    assert shop.requests() == []
