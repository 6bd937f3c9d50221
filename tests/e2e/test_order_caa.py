# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""CAA of an order's names, held against the CA that its product comes from."""

import pytest

from lab_order import counter, order_world  # noqa: F401

CAA = '0 issue "%s"'


@pytest.fixture
def strict(counter):
    counter.verify |= {"caa": "require", "timeout": 20}
    counter.write()
    return counter


@pytest.fixture
def allow(order_world):
    """allow(name, ca): a CAA record at a name, until the test's end."""
    made = []

    def add(name, ca):
        order_world.update("example.com", add=[(name + ".", 60, "CAA",
                                                CAA % ca)])
        made.append((name + ".", "CAA", None))
    yield add
    order_world.update("example.com", delete=made)


def test_forbidden_is_said_and_stops_it(strict):
    """The zone allows ca.test alone, and this product is Sectigo's."""
    done = strict.json(*strict.new_args(), "--wait")
    assert done.status == 1, done
    one, = done.objects
    assert one["state"] == "pending" and one["step"] == "publish", one
    assert ('www.example.com: caa: forbidden at example.com by issue '
            '"ca.test"; this would allow it: example.com. CAA 0 issue '
            '"sectigo.com"') in done.err, done


@pytest.mark.parametrize("ca, good", [
    ("sectigo.com", True), ("comodoca.com", True), ("digicert.com", False)])
def test_any_of_its_names_will_do(strict, allow, ca, good):
    allow("caa.example.com", ca)
    done = strict.json(*strict.new_args(
        csr=strict.csr("caa.example.com")), "--wait")
    assert (done.status == 0) == good, done
    assert (done.objects[0]["state"] == "issued") == good, done


def test_advice_does_not_stop_it(counter):
    done = counter.json(*counter.new_args(), "--wait")
    assert done.status == 0, done
    counter.all_good()
