# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Orders from end to end: a name server, a web server, the store, placard."""

import json
import os
import pathlib
import sqlite3
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fakes"))

import lab                              # noqa: E402
from lab_store import CONTACT, Shop, sslstore  # noqa: E402

ZONES = ["example.com", "example.org", "example.net"]
ADDRESS = {"AddressLine1": "1 Main Street", "City": "Akron",
           "LocalityName": "Akron", "Region": "Ohio", "PostalCode": "44301",
           "Country": "US", "Phone": "13305550100"}
PERSON = CONTACT | {"Title": "Admin", "OrganizationName": "Example Widgets",
                    "AddressLine1": "1 Main Street", "City": "Akron",
                    "Region": "Ohio", "PostalCode": "44301", "Country": "US"}
WHOLE = {"AdminContact": PERSON, "TechnicalContact": PERSON,
         "OrganizationInfo": {"OrganizationName": "Example Widgets",
                              "JurisdictionCountry": "US",
                              "OrganizationAddress": ADDRESS}}


class Counter(Shop):
    """Where orders are placed.  world: the name server."""

    def __init__(self, directory, store, world, web, **options):
        super().__init__(directory, store, **({"timeout": 4} | options))
        self.world, self.web = world, web
        self.rfc2136("lab", world)
        self.account("site", "file", root=web.root)
        for zone in ZONES:
            self.route(zone, "lab", method=["dns-cname", "dns-txt"])
        for host in ("files.example.com", "www.example.net"):
            self.route(host, "site", method="http-file")
        self.servers(world.where())
        self.verify["http-servers"] = [web.site]
        self.verify["site-local"] = True
        self.contact = self.json_file("contact.json", WHOLE)
        self.write()
        self.before = [world.dump(z) for z in ZONES]

    def json_file(self, name, content):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as out:
            json.dump(content, out)
        return path

    def csr(self, name="www.example.com", *sans, **more):
        """A new request; the file's path."""
        self.made(name, *sans, **more)
        return os.path.join(self.dir, "%s.csr" % name.replace("*", "_"))

    def spki(self, name):
        """The public key that belongs to a request of csr()."""
        path = os.path.join(self.dir, "%s.key" % name.replace("*", "_"))
        with open(path, "rb") as pem:
            key = serialization.load_pem_private_key(pem.read(), None)
        return public(key.public_key())

    def new_args(self, product="positivessl", csr=None, dcv="dns", *more):
        return ["order", "new", "--product", product, "--csr",
                csr or self.csr(), "--contact", self.contact,
                *(["--dcv", dcv] if dcv else []), *more]

    def new(self, *args):
        """order new that has to succeed; the order."""
        done = self.json(*self.new_args(*args))
        assert done.status == 0, done
        assert len(done.objects) == 1
        return done.objects[0]

    def order(self, *args, status=0):
        """An order command; its only object."""
        done = self.json("order", *args)
        assert done.status == status, done
        assert len(done.objects) == 1, done
        return done.objects[0]

    def paths(self):
        """Paths below /rest that were asked for, in order."""
        return [r["path"][6:] for r in self.requests()]

    def bodies(self, path):
        """What was sent to a path below /rest."""
        return [r["body"] for r in self.requests("/" + path)]

    def count(self, path):
        return self.paths().count(path)

    def untouched(self):
        """Nothing is left in the zones, on the site, in the journal."""
        for zone, before in zip(ZONES, self.before):
            new = set(self.world.dump(zone).splitlines())
            odd = {line for line in new - set(before.splitlines())
                   if " SOA " not in line and "\tSOA\t" not in line}
            assert not odd, odd
        assert lab.tree(self.web.root) == {}
        assert self.quiet_journal()

    def leaf(self, order):
        """The certificate of an order, as the store would give it out."""
        out = os.path.join(self.dir, "out-" + order)
        self.ok("order", "download", order, "--out", out)
        with open(os.path.join(out, "cert.pem"), "rb") as pem:
            return x509.load_pem_x509_certificate(pem.read())

    def rows(self, sql, *args):
        """Look into the order book."""
        path = os.path.join(self.state, "orders.db")
        if not os.path.exists(path):
            return []
        link = sqlite3.connect("file:%s?mode=ro" % path, uri=True)
        try:
            return link.execute(sql, args).fetchall()
        finally:
            link.close()

    def all_good(self):
        """After a test: the contract was kept and nothing is left."""
        self.clean()
        self.untouched()


def public(key):
    return key.public_bytes(serialization.Encoding.DER,
                            serialization.PublicFormat.SubjectPublicKeyInfo)


def names(cert):
    return cert.extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)


@pytest.fixture(scope="session")
def order_world(tmp_path_factory):
    with lab.Named(tmp_path_factory.mktemp("orders"), ZONES) as one:
        yield one


@pytest.fixture
def counter(order_world, web, tmp_path):
    with sslstore.Store([order_world.where()], http=web.site,
                        https=None, poll_interval=0) as one:
        yield Counter(tmp_path, one, order_world, web)


__all__ = ["ADDRESS", "CONTACT", "Counter", "PERSON", "WHOLE", "ZONES",
           "counter", "names", "order_world", "public", "sslstore"]
