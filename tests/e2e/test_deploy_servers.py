# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Real servers get one certificate after the other while a client looks."""

import hashlib
import os
import subprocess
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import lab
import lab_deploy
import lab_tls
from lab_deploy import Depot

SERVERS = {"nginx": lab_tls.NginxTls, "haproxy": lab_tls.Haproxy,
           "apache": lab_tls.Apache}


class Watcher:
    """Reads key and certificate of the directory all the time."""

    def __init__(self, directory, base):
        self.folder = os.path.join(directory, ".placard", base)
        self.bad = []
        self.count = 0
        self.end = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _look(self):
        now = os.readlink(os.path.join(self.folder, "current"))
        folder = os.path.join(self.folder, now)
        names = os.listdir(folder)
        one = "site.pem" if "site.pem" in names else None
        cert = lab_deploy.read(folder, one or "fullchain.pem")
        key = lab_deploy.read(folder, one or "privkey.pem")
        if one:
            key = key[key.index(b"-----BEGIN PRIVATE KEY"):]
        public = serialization.load_pem_private_key(key, None).public_key()
        found = x509.load_pem_x509_certificate(cert).public_key()
        assert public.public_numbers() == found.public_numbers()

    def _run(self):
        while not self.end.wait(0.005):
            self.count += 1
            try:
                self._look()
            except FileNotFoundError:
                # Two generations on while we looked: only what `current`
                # leads to must be there.
                try:
                    self._look()
                except (OSError, AssertionError, ValueError) as error:
                    self.bad.append(repr(error))
            except (OSError, AssertionError, ValueError) as error:
                self.bad.append(repr(error))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


@pytest.fixture(params=sorted(SERVERS))
def site(request, tmp_path):
    """A server that shows the first certificate; (depot, server, first)."""
    depot = Depot(tmp_path / "p")
    certs = tmp_path / "certs"
    server = SERVERS[request.param](tmp_path / request.param, certs)
    first = depot.issue("www.example.com", "example.com")
    depot.deploy("www.example.com", directory=certs, key_file=first.key_file,
                 **server.files)
    depot.go(first)
    with server:
        depot.sections = ""
        depot.deploy("www.example.com", directory=certs,
                     key_file=first.key_file, **server.options())
        yield depot, server, first


def test_one_after_the_other(site, soak):
    """500 of them, or a few: no failed handshake, no pair that is none."""
    depot, server, first = site
    several = [depot.issue("www.example.com", "example.com",
                           key_file=first.key_file + str(i))
               for i in range(500 if soak else 8)]
    with lab_tls.Client(server, depot) as client, \
            Watcher(server.certs, "www.example.com") as watcher:
        lab.wait_for(lambda: client.count > 0, "the client looks")
        for one in several:
            told = depot.one(one, "--key", one.key_file)
            assert told["state"] == "served", told
            assert told["changed"] is True
            assert server.shown() == one.sha256
        before = client.count
        lab.wait_for(lambda: client.count > before + 2, "the client looks")
    assert client.trouble == [] and watcher.bad == []
    assert watcher.count > len(several)
    known = [o.sha256 for o in [first, *several]]
    # In their order, and none that is not ours; slow eyes may miss some.
    places = [known.index(s) for s in client.seen]
    assert set(places) >= {0, len(several)} and len(places) > 2
    assert lab_deploy.leftovers(server.certs) == []
    assert len(lab_deploy.generations(server.certs,
                                      "www.example.com")) == 2
    states = depot.sql("SELECT state, count(*) FROM targets GROUP BY state")
    assert dict(states) == {2: 1, 4: len(several)}


@pytest.mark.quick
def test_refused_by_its_check(site):
    """What the server cannot use is not left there."""
    depot, server, first = site
    broken = depot.issue("www.example.com", "example.com")
    depot.sections = ""
    depot.deploy("www.example.com", directory=server.certs,
                 key_file=broken.key_file, **(server.options() | {
                     "pre_check": ["/bin/sh", "-c", "echo no good; exit 3"]}))
    with lab_tls.Client(server, depot) as client:
        told = depot.one(broken, status=1)
        lab.wait_for(lambda: client.count > 2, "the client has looked")
    assert told["state"] == "failed" and told["preCheck"] == "no good\n"
    assert "pre-check: exit status 3: no good" in told["error"]["text"]
    assert client.trouble == [] and client.seen == [first.sha256]
    # The way back leaves what the server's own check likes.
    assert subprocess.run(server.check(), check=False).returncode == 0
    cert = "site.pem" if server.name == "haproxy" else "fullchain.pem"
    found = x509.load_pem_x509_certificate(lab_deploy.read(server.certs,
                                                           cert))
    assert hashlib.sha256(found.public_bytes(
        serialization.Encoding.DER)).hexdigest() == first.sha256
    assert len(lab_deploy.generations(server.certs,
                                      "www.example.com")) == 1
