# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The ClouDNS fake, seen by lexicon."""
import pathlib
import sys

import pytest
import requests

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fakes import clients, cloudns  # noqa: E402

NAME = "_acme-challenge.example.com"
STRANGER = "stranger-value-of-another-client"
ABSENT = "Missing domain-name"


@pytest.fixture
def fake():
    with cloudns.Fake(limited=False) as one:
        yield one


class Api:
    """A thin client that posts a form with one user's credentials."""

    def __init__(self, fake, user="main", **members):
        self.base = fake.url + "/dns/"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = fake.ca_file
        self.form = {**fake.credentials_of(user), **members}

    def __call__(self, operation, **members):
        reply = self.session.post(self.base + operation + ".json", data={
            **self.form, **{k.replace("_", "-"): v
                            for k, v in members.items()}})
        assert reply.status_code == 200
        return reply.json()

    def failure(self, operation, **members):
        body = self(operation, **members)
        assert set(body) == {"status", "statusDescription"}
        assert body["status"] == "Failed"
        return body["statusDescription"]

    def add(self, value, host="_acme-challenge", ttl="3600", kind="TXT",
            domain="example.com"):
        return self("add-record", domain_name=domain, record_type=kind,
                    host=host, record=value, ttl=ttl)


@pytest.fixture
def api(fake):
    return Api(fake)


@pytest.mark.skipif(not clients.have_lexicon(), reason="no lexicon")
@pytest.mark.parametrize("user,option", [
    ("main", "--auth-id"), ("sub", "--auth-subid"),
    ("named", "--auth-subuser")])
def test_lexicon(fake, user, option):
    auth = [option, fake.users[user]["id"], "--auth-password"]
    good = [*auth, fake.users[user]["password"]]
    verb = ["cloudns", "create", "example.com", "TXT", "--name", NAME]
    results = clients.lexicon(
        fake, [*verb, "--content", "one", *good],
        ["cloudns", "list", "example.com", "TXT", "--name", NAME, *good,
         "--output", "JSON"],
        ["cloudns", "delete", "example.com", "TXT", "--name", NAME,
         "--content", "one", *good],
        [*verb, "--content", "x", *auth, "wrong"])
    assert [r["ok"] for r in results] == [True] * 3 + [False], results
    assert {r["content"] for r in results[1]["rows"]} == {"one", STRANGER}
    assert fake.values(NAME, "TXT") == [STRANGER]
    assert "Invalid authentication" in results[3]["error"]
    assert fake.leaks       # it asks with GET, password and all


def test_credentials(fake, api):
    assert api("login") == {"status": "Success",
                            "statusDescription": "Success login."}
    wrong = "Invalid authentication, incorrect {} or auth-password."
    assert Api(fake, "sub", auth_password=""
               ).failure("login", **{"auth-password": "x"}) == wrong.format(
                   "sub-auth-id")
    assert Api(fake, **{"sub-auth-user": "dns-robot"}).failure(
        "login") == wrong.format("auth-id")
    fake.post_only = True
    reply = api.session.get(api.base + "login.json", params=api.form).json()
    assert reply["status"] == "Failed" and len(fake.leaks) == 1
    assert api("login")["status"] == "Success"
    fake.plan = False
    assert "Check your plan" in api.failure("login")


def test_zones():
    with cloudns.Fake(bulk=120, limited=False) as fake:
        api, names = Api(fake), []
        pages = api("get-pages-count", rows_per_page="100")
        assert pages == 2
        for page in range(1, pages + 1):
            names += [z["name"] for z in api("list-zones", page=str(page),
                                             rows_per_page="100")]
        assert sorted(names) == sorted(z.name for z in fake.zones)
        assert "'page'" in api.failure("list-zones", rows_per_page="100")
        assert "'rows-per-page'" in api.failure("list-zones", page="1",
                                                rows_per_page="7")
        info = api("get-zone-info", domain_name="cloud.example")
        assert (info["type"], info["cloud-master"]) == ("cloud", "example.com")
        assert api.failure("get-zone-info", domain_name="www.example.com"
                           ) == ABSENT
        sub = Api(fake, "sub")
        assert sub.failure("get-zone-info", domain_name="example.net"
                           ) == ABSENT
        assert len(sub("list-zones", page="1", rows_per_page="10")) == 2


def test_records(fake, api):
    def listed(**more):
        return api("records", domain_name="example.com", **more)

    done = api.add("one")
    assert done["status"] == "Success" and type(done["data"]["id"]) is int
    rows = listed(host="_acme-challenge", type="TXT")
    one = next(r for r in rows.values() if r["record"] == "one")
    assert one == {"id": str(done["data"]["id"]), "type": "TXT",
                   "host": "_acme-challenge", "record": "one",
                   "dynamicurl_status": 0, "failover": "0", "ttl": "3600",
                   "status": 1}
    assert listed(host="none", type="TXT") == []
    assert len(listed(host="")) == len(listed(type="NONSENSE")) > 5
    api.add("one")
    assert fake.values(NAME, "TXT") == ["one", "one", STRANGER]
    fake.duplicates = "refuse"
    assert api.add("one")["status"] == "Failed"
    for record in ("gone", *[i for i, r in rows.items()
                             if r["record"] == "one"]):
        api("delete-record", domain_name="example.com", record_id=record)
    assert fake.values(NAME, "TXT") == ["one", STRANGER]
    assert api.failure("delete-record", domain_name="example.com",
                       record_id=one["id"]) == "Invalid record-id param."


@pytest.mark.parametrize("given,text", [
    ({"ttl": "120"}, "Invalid TTL."), ({"ttl": ""}, "Invalid TTL."),
    ({"kind": "NONSENSE"}, "not supported"), ({"value": ""}, "Missing record"),
    ({"host": "bad host"}, "Invalid host"), ({"host": "www"}, "CNAME"),
    ({"kind": "CNAME", "value": "a.example", "host": "mail"}, "CNAME"),
    ({"kind": "CNAME", "value": "a.example.", "host": "new"}, "host name"),
    ({"kind": "CNAME", "value": "a.example", "host": ""}, "root"),
    ({"domain": "slave.example"}, "slave"), ({"domain": "cloud.example"},
                                             "cloud"),
    ({"domain": "off.example"}, "not active"), ({"domain": "no.example"},
                                                ABSENT),
])
def test_refused_records(fake, api, given, text):
    before = fake.state()["zones"]
    reply = api.add(**{"value": "x", **given})
    assert reply["status"] == "Failed"
    assert text in reply["statusDescription"]
    assert fake.state()["zones"] == before


def test_spread(fake, api):
    fake.spread = 3600
    api.add("one")
    assert api("is-updated", domain_name="example.com") is False
    status = api("update-status", domain_name="example.com")
    assert [s["updated"] for s in status] == [True, False, False, False]
    fake.spread = 0
    assert api("is-updated", domain_name="example.com") is True


def test_limits(fake, api):
    fake.limited = True
    fake.buckets[0].window = 3600
    replies = [api("login")["status"] for _ in range(21)]
    assert replies == ["Success"] * 20 + ["Failed"]
    assert api.failure("login").startswith("Request blocked. 127.0.0.1")
