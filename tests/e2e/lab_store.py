# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A fake store and a placard that knows it as its controller."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fakes"))

import sslstore                         # noqa: E402

import lab                              # noqa: E402

CONTACT = {"FirstName": "Ada", "LastName": "Example", "Phone": "13305550100",
           "Email": "pki@example.com"}


class Shop(lab.Placard):
    """placard with a controller "store", and the fake behind it."""

    def __init__(self, directory, store, **options):
        super().__init__(directory)
        self.store = store
        self.token(store.pair[1])
        self.controller("store", **options)

    # -- configuration

    def token(self, text, name="token"):
        """What the controller's token file holds from now on."""
        self.token_file = self.secret_file(name, text)

    def controller(self, name, **options):
        settings = {"kind": "sslstore", "url": self.store.url,
                    "partner_code": self.store.pair[0],
                    "auth_token_file": self.token_file}
        if self.store.ca:
            settings["ca_file"] = self.store.ca
        settings |= options
        self.extra = ('controller "%s" {\n%s}\n' % (name, self._options(
            {k: v for k, v in settings.items() if v is not None})))
        self.write()
        return self

    # -- the fake

    def control(self, name, **arguments):
        return self.store.control(name, **arguments)

    def requests(self, path=None):
        return self.control("requests", path=path)

    def faults(self, *rules):
        self.control("faults", rules=list(rules))

    def clean(self):
        """Did all requests keep to the contract?"""
        assert self.control("violations") == []

    # -- calls by hand

    def start_calls(self, *args):
        return subprocess.Popen(
            [self.program("tests/unit/store-call"), "-c", self.config,
             *args], env=self.env(), text=True, cwd=self.dir,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)

    @staticmethod
    def script(calls):
        """Calls (path, request) or objects as store-call reads them."""
        return "".join(json.dumps(
            one if isinstance(one, dict) else
            {"path": one[0].strip("/"), "request": one[1]}) + "\n"
            for one in calls)

    def calls(self, *calls, args=()):
        """Make these calls; what became of each, and the exit status."""
        done = self.finish(self.start_calls(*args), self.script(calls))
        self.last = done
        results = done.objects
        assert len(results) == len(calls), done
        return results, done.status

    def call(self, path, request=None, **more):
        """One call; its result."""
        results, _ = self.calls(
            {"path": path.strip("/"), "request": request or {}} | more)
        return results[0]

    def good(self, path, request=None):
        """One call that has to succeed; its answer."""
        one = self.call(path, request)
        assert one["code"] == "ok", one
        return one["answer"]

    def made(self, name="www.example.com", *sans, kind="p256"):
        """A new request, as PEM."""
        out = os.path.join(self.dir, "%s.csr" % name.replace("*", "_"))
        key = out[:-4] + ".key"
        for path in (out, key):
            if os.path.exists(path):
                os.unlink(path)
        more = [w for n in sans for w in ("--san", n)]
        self.ok("csr", "new", "--cn", name, *more, "--key", kind,
                "--key-out", key, "--out", out)
        return pathlib.Path(out).read_text(encoding="ascii")

    def order(self, custom="c-1", name="www.example.com", **more):
        """The body of a neworder."""
        return {"CustomOrderID": custom, "ProductCode": "positivessl",
                "ValidityPeriod": 12, "ServerCount": 1,
                "CSR": self.made(name), "DomainName": name,
                "WebServerType": "Other", "DNSNames": [],
                "isCUOrder": False, "isRenewalOrder": False,
                "isTrialOrder": False, "AdminContact": CONTACT,
                "TechnicalContact": CONTACT,
                "ApproverEmail": "admin@example.com",
                "FileAuthDVIndicator": False,
                "HTTPSFileAuthDVIndicator": False,
                "CNAMEAuthDVIndicator": True,
                "SignatureHashAlgorithm": "PREFER_SHA2",
                "DateTimeCulture": "en-US",
                "CSRUniqueValue": custom.replace("-", "")} | more


@pytest.fixture
def store():
    with sslstore.Store(poll_interval=0) as one:
        yield one


@pytest.fixture
def shop(store, tmp_path):
    return Shop(tmp_path, store)


__all__ = ["CONTACT", "Shop", "shop", "sslstore", "store"]
