# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""From one certificate to the next at its target: renewed, with a key that
placard made, and taken there, without anybody's doing."""

import os

import pytest

from cryptography import x509
from cryptography.hazmat.primitives import serialization

import lab
from lab_daemon import Daemon
from lab_order import order_world, public  # noqa: F401
from lab_renew import DAY, told, years  # noqa: F401

NAME = "www.example.com"


def pair(folder):
    """The certificate that is there, checked to be its key's."""
    with open(os.path.join(folder, "cert.pem"), "rb") as pem:
        cert = x509.load_pem_x509_certificate(pem.read())
    with open(os.path.join(folder, "privkey.pem"), "rb") as pem:
        key = serialization.load_pem_private_key(pem.read(), None)
    assert public(key.public_key()) == public(cert.public_key())
    return cert


@pytest.mark.parametrize("years", [None], indirect=True)
def test_a_reissue_reaches_its_target(years, tmp_path):
    """The first key is the user's, whom the section names; the next one's
    place is known from the book.  Workers see the real time, so it is the
    store that lives in the past first."""
    folder = tmp_path / "tls"
    years.control("clock", offset=-170 * DAY)
    order = years.place(NAME, "--renew-before", "off")
    years.control("clock", offset=0)
    years.extra += (
        f'deploy "{NAME}" {{\n  directory = "{folder}"\n'
        f'  key-file = "{years.dir}/{NAME}.key"\n}}\n')
    events = years.reader(events=("issued", "deployed", "failed"))
    with Daemon(years) as service:
        lab.wait_for(lambda: (folder / "cert.pem").exists(), "the first", 60)
        first = pair(folder)
        assert first.serial_number == years.leaf(order["id"]).serial_number
        years.ok("order", "refresh", order["id"], "--renew-before", "default")
        service.hup()
        lab.wait_for(lambda: pair(folder) != first, "the second", 60, gap=0.1)
        second = pair(folder)
        assert second == years.leaf(order["id"])
        assert public(second.public_key()) != public(first.public_key())
        lab.wait_for(lambda: len(told(events)) >= 3, "the events", 60)
        assert [one["event"] for one in told(events)][-2:] == [
            "issued", "deployed"]
        service.stop()
    years.all_good()
