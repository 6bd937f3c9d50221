# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The Azure fake, seen by lexicon and by the vendor's own examples."""
import json
import pathlib
import sys

import pytest
import requests

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fakes import azure, base, clients  # noqa: E402

NAME = "_acme-challenge.example.com"
STRANGER = "stranger-value-of-another-client"
VERSION = {"api-version": "2018-05-01"}


@pytest.fixture
def fake():
    with azure.Fake(limited=False) as one:
        yield one


class Api:
    """A thin client; paths are below the configured resource group."""

    def __init__(self, fake, user="admin", **form):
        self.fake = fake
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = fake.ca_file
        self.options = fake.credentials_of(user)
        self.root = (f"{fake.url}/subscriptions/{fake.subscription}/"
                     "resourceGroups/rg-dns/providers/Microsoft.Network/"
                     "dnsZones")
        self.form = {
            "grant_type": "client_credentials",
            "client_id": self.options["client-id"],
            "client_secret": self.options["client-secret"],
            "scope": "https://management.azure.com/.default", **form}

    def login(self, path=None):
        reply = self.session.post(
            self.fake.url + (path or f"/{self.fake.tenant}/oauth2/v2.0/token"),
            data=self.form)
        token = reply.json().get("access_token")
        if token:
            self.session.headers["Authorization"] = "Bearer " + token
        return reply.status_code, reply.json()

    def __call__(self, method, path="", body=None, params=None, **headers):
        url = path if path.startswith("http") else self.root + path
        return self.session.request(
            method, url, params=VERSION if params is None else params,
            json=body, headers={k.replace("_", "-"): v
                                for k, v in headers.items()})

    def code(self, *args, **more):
        """Status, code, and whether the error is nested."""
        reply = self(*args, **more)
        body = reply.json()
        inner = body.get("error", body)
        return reply.status_code, inner["code"], "error" in body


@pytest.fixture
def api(fake):
    one = Api(fake)
    assert one.login()[0] == 200
    return one


def txt(*values, ttl=60, **more):
    return {"properties": {"TTL": ttl, "TXTRecords": [{"value": [v]}
                                                      for v in values],
                           **more}}


@pytest.mark.skipif(not clients.have_lexicon(), reason="no lexicon")
def test_lexicon(fake):
    options = fake.credentials
    auth = ["--auth-client-id", options["client-id"],
            "--auth-tenant-id", options["tenant-id"],
            "--auth-subscription-id", options["subscription-id"],
            "--resource-group", options["resource-group"]]
    good = [*auth, "--auth-client-secret", options["client-secret"]]
    verb = ["azure", "create", "example.com", "TXT", "--name", NAME]
    results = clients.lexicon(
        fake, [*verb, "--content", "one", *good],
        [*verb, "--content", "two", *good],
        ["azure", "list", "example.com", "TXT", "--name", NAME, *good,
         "--output", "JSON"],
        ["azure", "delete", "example.com", "TXT", "--name", NAME,
         "--content", "one", *good],
        [*verb, "--content", "x", *auth, "--auth-client-secret", "wrong"])
    assert [r["ok"] for r in results] == [True] * 4 + [False], results
    assert {r["content"] for r in results[2]["rows"]} == {
        "one", "two", STRANGER}
    assert fake.values(NAME, "TXT") == [STRANGER, "two"]
    assert "401" in results[4]["error"]
    assert {c.header("Host") for c in fake.calls()} == set(fake.hosts)


SDK = r"""
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.dns import DnsManagementClient
def client(secret):
    return DnsManagementClient(ClientSecretCredential(
        given["tenant-id"], given["client-id"], secret),
        given["subscription-id"], api_version="2018-05-01", retry_total=0)
def attempt(call, *args, **more):
    try:
        return call(*args, **more)
    except Exception as error:
        return "%s %s" % (getattr(error, "status_code", None), error)
dns = client(given["client-secret"])
group, name = given["resource-group"], "_acme-challenge"
place = (group, "example.com", name, "TXT")
old = dns.record_sets.get(*place)
mine = old.txt_records + [type(old.txt_records[0])(value=["mine"])]
body = {"ttl": old.ttl, "txt_records": mine, "metadata": old.metadata}
new = dns.record_sets.create_or_update(*place, body, if_match=old.etag)
print(json.dumps({
    "zones": [z.name for z in dns.zones.list_by_resource_group(group)],
    "listed": [["".join(r.value) for r in s.txt_records]
               for s in dns.record_sets.list_by_type(group, "example.com",
               "TXT") if s.name == name][0],
    "raced": attempt(dns.record_sets.create_or_update, *place, body,
                     if_match=old.etag),
    "made_twice": attempt(dns.record_sets.create_or_update, *place, body,
                          if_none_match="*"),
    "absent": attempt(dns.record_sets.get, group, "example.com", "no", "TXT"),
    "deleted": attempt(dns.record_sets.delete, *place, if_match=new.etag),
    "refused": attempt(client("wrong").zones.get, group, "example.com")}))
"""


@pytest.mark.skipif(not clients.importable("azure.mgmt.dns, azure.identity"),
                    reason="no python3-azure")
def test_the_vendors_own_library():
    with azure.Fake(limited=False, bulk=120) as fake:
        done = json.loads(clients.run_python(fake, SDK, fake.credentials))
        assert sorted(done["zones"]) == sorted(
            z.name for z in fake.zones if z.info["group"] == "rg-dns")
        assert done["listed"] == [STRANGER, "mine"]
        assert done["raced"].startswith("412 (PreconditionFailed)")
        assert done["made_twice"].startswith("412 (PreconditionFailed)")
        assert done["absent"].startswith("404 (NotFound)")
        assert done["deleted"] is None and fake.values(NAME, "TXT") == []
        assert "AADSTS7000215" in done["refused"]


def test_vendor_examples(fake, api):
    """The examples are accepted, and answers have their members."""
    for kind in ("TXT", "CNAME"):
        stored = base.shared_spec(
            f"azure-dns/examples/CreateOrUpdate{kind}Recordset.json")
        if not stored:
            pytest.skip("no vendor data: ../shared/specs/azure-dns")
        reply = api("PUT", f"/example.org/{kind}/record{kind}",
                    stored["parameters"]["parameters"])
        assert reply.status_code == 201
        wanted = stored["responses"]["201"]["body"]
        assert set(wanted) <= set(reply.json())
        assert set(wanted["properties"]) <= set(reply.json()["properties"])
        for body in (reply.json(), api("GET", "/example.org").json()):
            name = "Zone" if body["type"].endswith("zones") else "RecordSet"
            body["properties"].pop("metadata", None)
            assert base.schema_error(fake.schema, "#/definitions/" + name,
                                     body) is None


def test_tokens(fake):
    new = Api(fake)
    status, body = new.login()
    assert status == 200 and body["expires_in"] == 3599
    old = Api(fake, resource="https://management.azure.com/")
    status, body = old.login(f"/{fake.tenant}/oauth2/token")
    assert status == 200 and body["expires_in"] == "3599"
    assert old("GET").status_code == new("GET").status_code == 200
    fake.expired = True
    assert new.code("GET") == (401, "ExpiredAuthenticationToken", True)
    del new.session.headers["Authorization"]
    assert new.code("GET") == (401, "AuthenticationFailed", True)
    assert new.code("GET", Authorization="Bearer x") == (
        401, "InvalidAuthenticationToken", True)


@pytest.mark.parametrize("user,form,path,status,code", [
    ("admin", {"client_secret": "wrong"}, None, 401, 7000215),
    ("stale", {}, None, 401, 7000222),
    ("admin", {"client_id": "nobody"}, None, 400, 700016),
    ("admin", {}, "/no-tenant/oauth2/v2.0/token", 400, 90002),
    ("admin", {"scope": "https://elsewhere/.default"}, None, 400, 500011),
    ("admin", {"scope": "https://management.azure.com"}, None, 400, 1002012),
    ("admin", {"grant_type": ""}, None, 400, 900144),
])
def test_refused_logins(fake, user, form, path, status, code):
    got, body = Api(fake, user, **form).login(path)
    assert (got, body["error_codes"]) == (status, [code])
    assert body["error_description"].startswith(f"AADSTS{code}: ")


def test_rights(fake):
    def as_user(name):
        one = Api(fake, name)
        assert one.login()[0] == 200
        return one

    record, only = as_user("record"), as_user("record-only")
    refused = (403, "AuthorizationFailed", True)
    assert record.code("GET") == refused
    assert record("GET", "/example.com").status_code == 200
    assert only.code("GET", "/example.com") == refused
    path = "/example.com/TXT/_acme-challenge"
    assert only("PUT", path, txt("mine")).status_code == 200
    assert only.code("PUT", path + ".www", txt("mine")) == refused
    assert as_user("reader").code("PUT", path, txt("x")) == refused
    assert as_user("nobody").code("GET", path) == refused
    assert fake.values(NAME, "TXT") == ["mine"]


def test_etags(fake, api):
    path = "/example.com/TXT/_acme-challenge"
    read = api("GET", path)
    etag = read.headers["ETag"]
    assert etag == read.json()["etag"] and '"' not in etag
    raced = (412, "PreconditionFailed", False)
    done = api("PUT", path, txt(STRANGER, "mine"), If_Match=etag)
    assert done.status_code == 200 and done.headers["ETag"] != etag
    assert api.code("PUT", path, txt("x"), If_Match=etag) == raced
    assert api.code("DELETE", path, If_Match=etag) == raced
    assert api.code("PUT", path, txt("x"), If_None_Match="*") == raced
    assert api.code("PUT", "/example.com/TXT/new", txt("x"),
                    If_Match="*") == raced
    assert fake.values(NAME, "TXT") == ["mine", STRANGER]
    assert api("PUT", "/example.com/TXT/new", txt("x"),
               If_None_Match="*").status_code == 201
    assert api("DELETE", path,
               If_Match=done.headers["ETag"]).status_code == 200
    assert api("DELETE", path).status_code == 204
    assert fake.values(NAME, "TXT") == []


def test_absences(fake, api):
    where = "/TXT/_acme-challenge"
    assert api.code("GET", "/example.com/TXT/none") == (
        404, "NotFound", False)
    assert api.code("GET", "/absent.example") == (
        404, "ResourceNotFound", True)
    assert api.code("PUT", "/absent.example" + where, txt("x")) == (
        404, "ParentResourceNotFound", True)
    assert api.code("GET", api.root.replace("rg-dns", "rg-none")) == (
        404, "ResourceGroupNotFound", True)
    assert api.code("GET", "/example.com/TXT/")[0] == 404
    assert api("GET", api.root.replace("rg-dns", "RG-DNS").replace(
        "dnsZones", "DNSZONES") + "/Example.COM" + where).status_code == 200


@pytest.mark.parametrize("name,body,status,code", [
    ("TXT/a", txt(), 400, "BadRequest"),
    ("TXT/a", txt("x" * 256), 400, "BadRequest"),
    ("TXT/a", txt(*[str(n) * 230 for n in range(10, 20)]), 400, "BadRequest"),
    ("TXT/a", txt(*map(str, range(21))), 400, "BadRequest"),
    ("TXT/a", txt("x", ttl=0), 400, "BadRequest"),
    ("TXT/a", txt("x", ttl="60"), 400, "BadRequest"),
    ("TXT/a", txt("x", ttl=None), 400, "BadRequest"),
    ("TXT/a", txt("x", ttl=60, ARecords=[{"ipv4Address": "192.0.2.1"}]), 400,
     "BadRequest"),
    ("TXT/a", {"properties": {"ttl": 60}}, 400, "InvalidRequestContent"),
    ("TXT/a", {"TTL": 60}, 400, "InvalidRequestContent"),
    ("TXT/www", txt("x"), 409, "Conflict"),
    ("TXT/a..b", txt("x"), 400, "BadRequest"),
    ("CNAME/@", {"properties": {"TTL": 60, "CNAMERecord": {"cname": "a.b"}}},
     400, "BadRequest"),
    ("CNAME/mail", {"properties": {"TTL": 60,
                                   "CNAMERecord": {"cname": "a.b"}}},
     409, "Conflict"),
])
def test_refused_sets(fake, api, name, body, status, code):
    before = fake.state()["zones"]
    assert api.code("PUT", "/example.com/" + name, body)[:2] == (status, code)
    assert fake.state()["zones"] == before


def test_pages_and_versions():
    with azure.Fake(bulk=150) as fake:
        api = Api(fake)
        api.login()
        reply, names = api("GET").json(), []
        while True:
            names += [z["name"] for z in reply["value"]]
            if "nextLink" not in reply:
                break
            assert reply["nextLink"].startswith(fake.url + "/subscriptions/")
            reply = api("GET", reply["nextLink"], params={}).json()
        assert sorted(names) == sorted(
            z.name for z in fake.zones if z.info["group"] == "rg-dns")
        everywhere = (f"{fake.url}/subscriptions/{fake.subscription}/"
                      "providers/Microsoft.Network/dnszones")
        assert "nextLink" in api("GET", everywhere).json()
        assert api.code("GET", params={"a": "b"}) == (
            400, "MissingApiVersionParameter", True)
        fake.minute["zones"].limit = 2
        assert api.code("GET")[:2] == (429, "TooManyRequests")


def test_vendor_faults(fake, api):
    fake.fault("busy", method="PUT")
    fake.fault("token-expired", method="GET")
    fake.fault("throttle", method="GET", skip=1, retry_after=9)
    path = "/example.org/TXT/a"
    assert api.code("PUT", path, txt("x")) == (
        429, "RetryableErrorDueToAnotherOperation", False)
    assert api.code("GET", path)[0] == 401
    assert api("GET", path).status_code == 404
    assert api("GET", path).headers["Retry-After"] == "9"
