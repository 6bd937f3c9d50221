# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placardd renews certificates by itself, while years pass."""

import pytest

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
