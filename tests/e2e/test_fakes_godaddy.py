# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The GoDaddy fake, seen by lexicon and by the vendor's own schema."""
import pathlib
import sys

import pytest
import requests

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fakes import base, clients, godaddy  # noqa: E402

NAME = "_acme-challenge.example.com"
STRANGER = "stranger-value-of-another-client"
SET = "/example.com/records/TXT/_acme-challenge"
ALL = "/example.com/records"


@pytest.fixture
def fake():
    with godaddy.Fake(limited=False) as one:
        yield one


class Api:
    """A thin client; paths are below /v1/domains."""

    def __init__(self, fake, authorization=None):
        self.base = fake.url + "/v1/domains"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = fake.ca_file
        self.session.headers["Authorization"] = authorization or (
            "sso-key {key}:{secret}".format(**fake.credentials))

    def __call__(self, method, path="", **more):
        return self.session.request(method, self.base + path, **more)

    def code(self, *args, **more):
        reply = self(*args, **more)
        return reply.status_code, reply.json()["code"]


@pytest.fixture
def api(fake):
    return Api(fake)


def txt(data, name="_acme-challenge", ttl=600, **more):
    return {"type": "TXT", "name": name, "data": data, "ttl": ttl, **more}


@pytest.mark.skipif(not clients.have_lexicon(), reason="no lexicon")
def test_lexicon(fake):
    fake.settle_calls = 1
    auth = ["--auth-key", fake.credentials["key"]]
    good = [*auth, "--auth-secret", fake.credentials["secret"]]
    verb = ["godaddy", "create", "example.com", "TXT", "--name", NAME]
    results = clients.lexicon(
        fake, [*verb, "--content", "one", *good],
        ["godaddy", "list", "example.com", "TXT", "--name", NAME, *good,
         "--output", "JSON"],
        ["godaddy", "delete", "example.com", "TXT", "--name", NAME,
         "--content", "one", *good],
        [*verb, "--content", "x", *auth, "--auth-secret", "wrong"])
    assert [r["ok"] for r in results] == [True] * 3 + [False], results
    assert {r["content"] for r in results[1]["rows"]} == {"one", STRANGER}
    assert fake.values(NAME, "TXT") == [STRANGER]
    assert "401" in results[3]["error"]
    assert any(c.status == 409 for c in fake.calls())
    # It deletes by writing the whole type: the fake tells.
    assert [len(a["lost"]) for a in fake.alarms] == [1]


def test_answers_match_the_vendors_schema(fake, api):
    if not fake.schema:
        pytest.skip("no vendor data: ../shared/specs/godaddy")
    for name, body in [
            ("DomainSummary", api("GET").json()[0]),
            ("DomainDetail", api("GET", "/example.com").json()),
            ("DNSRecord", api("GET", SET).json()[0]),
            ("Error", api("GET", "/absent.example/records").json()),
            ("ErrorLimit", fake.too_fast(3) and base.json.loads(
                fake.too_fast(3).body))]:
        assert base.schema_error(fake.schema, "#/definitions/" + name,
                                 body) is None


def test_credentials_and_policy(fake, api):
    other = Api(fake, "sso-key {key}:{secret}".format(**fake.ote_credentials))
    assert other.code("GET", ALL) == (401, "UNABLE_TO_AUTHENTICATE")
    assert Api(fake, "Bearer x").code("GET", ALL) == (
        401, "MALFORMED_CREDENTIALS")
    del other.session.headers["Authorization"]
    assert other.code("GET", ALL) == (401, "MISSING_CREDENTIALS")
    assert api("GET", "/example.com").json()["authCode"] == fake.auth_code
    fake.denied = ["domains"]
    assert api.code("GET", "/example.com") == (403, "ACCESS_DENIED")
    assert api.code("GET") == (403, "ACCESS_DENIED")
    assert api("GET", ALL + "/NS").status_code == 200
    fake.denied = ["read"]
    assert api.code("GET", SET) == (403, "ACCESS_DENIED")
    assert api("PATCH", ALL, json=[txt("x")]).status_code == 200


def test_zones():
    with godaddy.Fake(bulk=150) as fake:
        api, names = Api(fake), []
        assert len(api("GET").json()) == 100
        while True:
            page = api("GET", f"?limit=60&statuses=ACTIVE&marker="
                       f"{names[-1] if names else ''}").json()
            names += [d["domain"] for d in page]
            if len(page) < 60:
                break
        assert sorted(names) == sorted(
            z.name for z in fake.zones if z.info["registered"]
            and z.info["status"] == "ACTIVE")
        assert api.code("GET", "/hosted.example") == (404, "NOT_FOUND")
        assert api("GET", "/hosted.example/records/NS").status_code == 200
        assert api.code("GET", "/www.example.com/records/NS") == (
            404, "UNKNOWN_DOMAIN")
        assert api.code("GET", "/com/records/NS") == (422, "MISMATCH_FORMAT")
        assert api.code("GET", "?limit=1001") == (422, "MISMATCH_FORMAT")
        statuses = [api("GET", ALL).status_code for _ in range(61)]
        assert statuses == [200] * 60 + [429]
        assert api("GET", ALL).json()["retryAfterSec"] > 0


def test_writes(fake, api):
    reply = api("PATCH", ALL, json=[txt("one"), txt("two", ttl=700)])
    assert (reply.status_code, reply.content) == (200, b"")
    assert fake.values(NAME, "TXT") == ["one", STRANGER, "two"]
    assert api.code("PATCH", ALL, json=[txt("one")]) == (
        422, "DUPLICATE_RECORD")
    rest = [r for r in api("GET", SET).json() if r["data"] != "one"]
    assert api("PUT", SET, json=rest).status_code == 200
    assert fake.values(NAME, "TXT") == [STRANGER, "two"]
    assert api("PUT", SET, json=[]).status_code == 200
    assert fake.values(NAME, "TXT") == [STRANGER, "two"]
    reply = api("DELETE", SET)
    assert (reply.status_code, reply.content) == (204, b"")
    assert api.code("DELETE", SET) == (404, "NOT_FOUND")
    assert api("GET", SET).json() == []
    assert not fake.alarms
    assert api("PUT", ALL + "/TXT", json=[txt("x")]).status_code == 200
    assert len(fake.alarms[0]["lost"]) == 6


@pytest.mark.parametrize("record,code", [
    (txt("x", ttl=599), "INVALID_BODY"), (txt("x", ttl=0), "INVALID_BODY"),
    (txt("x", ttl=604801), "INVALID_BODY"), (txt("x", ttl="600"),
                                             "INVALID_BODY"),
    ({"type": "TXT", "name": "a", "data": "x"}, "INVALID_BODY"),
    (txt(""), "INVALID_BODY"), (txt(" "), "INVALID_BODY"),
    (txt("x", name=""), "INVALID_BODY"), (txt("x", type="CAA"),
                                          "INVALID_BODY"),
    (txt("x", name="www"), "RECORD_CONFLICT"),
    (txt("a.example.", name="a", type="CNAME"), "INVALID_BODY"),
    (txt("a.example", name="mail", type="CNAME"), "RECORD_CONFLICT"),
    (txt(STRANGER), "DUPLICATE_RECORD"),
])
def test_refused_records(fake, api, record, code):
    before = fake.state()["zones"]
    good = txt("good", name="good")
    assert api.code("PATCH", ALL, json=[good, record]) == (422, code)
    assert fake.state()["zones"] == before


def test_odd_requests(fake, api):
    assert api.code("PATCH", ALL, data="[]")[0] == 415
    assert api.code("PATCH", ALL, json={})[0] == 422
    assert api.code("POST", ALL, json=[])[0] == 405
    assert api.code("DELETE", ALL + "/TXT")[0] == 405
    assert api.code("DELETE", ALL + "/NS/@")[0] == 422
    assert api.code("GET", ALL + "/CAA/@")[0] == 422
    fake.silent_empty = True
    assert api("PATCH", ALL, json=[txt("x")]).status_code == 200
    assert "" in fake.values(NAME, "TXT")
    fake.fault("quota")
    assert api.code("GET", ALL) == (429, "QUOTA_EXCEEDED")
    assert fake.values("_acme-challenge.legacy.example", "TXT") == [
        "", " ", "null", "stranger-of-legacy"]
