# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The Cloudflare fake, seen by lexicon and by the vendor's own schema."""
import pathlib
import sys

import pytest
import requests

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fakes import base, clients, cloudflare  # noqa: E402

NAME = "_acme-challenge.example.com"
STRANGER = "stranger-value-of-another-client"


@pytest.fixture
def fake():
    with cloudflare.Fake() as one:
        yield one


class Api:
    """A thin client of the API; speaks only what a test tells it."""

    def __init__(self, fake, **headers):
        self.base = fake.url + "/client/v4"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = fake.ca_file
        self.session.headers.update(headers or {
            "X-Auth-Email": fake.email, "X-Auth-Key": fake.key})

    def __call__(self, method, path, **more):
        reply = self.session.request(method, self.base + path, **more)
        return reply.status_code, reply.json()

    def code(self, method, path, **more):
        status, body = self(method, path, **more)
        assert body["success"] is False and body["result"] is None
        return status, body["errors"][0]["code"]


@pytest.fixture
def api(fake):
    return Api(fake)


def records(zone):
    return f"/zones/{zone.id}/dns_records"


def txt(content, name=NAME, **more):
    return {"type": "TXT", "name": name, "content": content, "ttl": 120,
            **more}


@pytest.mark.skipif(not clients.have_lexicon(), reason="no lexicon")
@pytest.mark.parametrize("kind", ["global key", "token"])
def test_lexicon(fake, kind):
    auth = ["--auth-token", fake.key, "--auth-username", fake.email]
    if kind == "token":
        zone = fake.zone("example.com", type="full")
        auth = ["--auth-token", fake.tokens["full"]["value"],
                "--zone-id", zone.id]
    zone = "example.org" if kind == "global key" else "example.com"
    name = f"_acme-challenge.{zone}."
    there = fake.values(name, "TXT")
    verb = ["--name", name, "--content"]
    results = clients.lexicon(
        fake,
        ["cloudflare", "create", zone, "TXT", *verb, "one", *auth],
        ["cloudflare", "create", zone, "TXT", *verb, "two", *auth],
        ["cloudflare", "list", zone, "TXT", "--name", name, *auth,
         "--output", "JSON"],
        ["cloudflare", "delete", zone, "TXT", *verb, "one", *auth],
        ["cloudflare", "create", zone, "TXT", *verb, "three",
         "--auth-username", fake.email, "--auth-token", "f" * 37])
    assert [r["ok"] for r in results] == [True] * 4 + [False], results
    assert {r["content"].strip('"') for r in results[2]["rows"]} == {
        "one", "two", *there}
    assert "403" in results[4]["error"]
    assert fake.values(name, "TXT") == sorted(["two", *there])


def test_answers_match_the_vendors_schema(fake, api):
    if not fake.schema:
        pytest.skip("no vendor data: ../shared/specs/cloudflare")
    zone = fake.zone("example.com", type="full")
    done = api("POST", records(zone), json=txt('"token"'))[1]
    for name, body in [
            ("zones_api-response-common", api("GET", "/zones")[1]),
            ("dns-records_dns_response_collection",
             api("GET", records(zone))[1]),
            ("dns-records_dns_response_single", done),
            ("dns-records_api-response-common-failure",
             api("GET", f"{records(zone)}/{'0' * 32}")[1])]:
        assert base.schema_error(fake.schema, "#/components/schemas/" + name,
                                 without_comments(body)) is None


def without_comments(body):
    """The service says "comment": null, which its schema does not allow."""
    if isinstance(body, dict):
        return {k: without_comments(v) for k, v in body.items()
                if k != "comment"}
    if isinstance(body, list):
        return [without_comments(v) for v in body]
    return body


def test_credentials(fake):
    zone = fake.zone("example.com", type="full")
    org = fake.zone("example.org")

    def bearer(name):
        return Api(fake, Authorization="Bearer " + fake.tokens[name]["value"])

    assert Api(fake, Accept="*/*").code("GET", "/zones") == (400, 9106)
    assert Api(fake, **{"X-Auth-Email": fake.email, "X-Auth-Key": "short"}
               ).code("GET", "/zones") == (400, 6003)
    assert Api(fake, **{"X-Auth-Email": "a@b.c", "X-Auth-Key": fake.key}
               ).code("GET", "/zones") == (403, 9103)
    assert Api(fake, Authorization="Bearer x").code("GET", "/zones") == (
        400, 6003)
    assert Api(fake, Authorization="Bearer " + "x" * 40).code(
        "GET", "/zones") == (403, 10000)
    assert bearer("blocked").code("GET", "/zones") == (403, 9109)
    assert bearer("disabled")("GET", "/user/tokens/verify")[1]["result"][
        "status"] == "disabled"
    assert bearer("disabled").code("GET", "/zones") == (403, 10000)
    assert bearer("reader").code("POST", records(zone), json=txt("x")) == (
        403, 10000)
    assert bearer("scoped").code("GET", records(org)) == (403, 9109)
    names = bearer("scoped")("GET", "/zones")[1]["result"]
    assert {z["name"] for z in names} == {"example.com"}
    assert bearer("scoped")("POST", records(zone), json=txt("x"))[0] == 200
    assert fake.values(NAME, "TXT") == [STRANGER, "x"]


def test_zone_filters_and_pages():
    with cloudflare.Fake(bulk=120) as fake:
        api, seen, page = Api(fake), [], 1
        while True:
            status, body = api("GET", f"/zones?per_page=50&page={page}")
            seen += body["result"]
            if page >= body["result_info"]["total_pages"]:
                break
            page += 1
        assert len(seen) == len(fake.zones) > 100
        assert len(api("GET", "/zones")[1]["result"]) == 20
        assert api.code("GET", "/zones?per_page=100") == (400, 1004)
        assert api("GET", "/zones?name=absent.example")[1]["result"] == []
        twice = api("GET", "/zones?name=twice.example")[1]["result"]
        assert {z["status"] for z in twice} == {"active", "pending"}
        assert len(api("GET", "/zones?name=twice.example&status=active")
                   [1]["result"]) == 1


@pytest.mark.parametrize("given,status,code", [
    (txt(""), 400, 1004),
    (txt("x", ttl=30), 400, 1004),
    (txt("x", ttl="120"), 400, 1004),
    (txt("x", name="bad name"), 400, 1004),
    (txt("x", proxied=True), 400, 1004),
    (txt("x", type="NONSENSE"), 400, 1004),
    (txt(5), 400, 1004),
    (txt('quote " inside'), 200, None),
    (txt('"open" x "end"'), 400, 1004),
    (txt("x" * 5000), 400, 1004),
    (txt(STRANGER), 400, 81058),
    (txt(f'"{STRANGER}"'), 400, 81058),
    (txt("x", name="www.example.com"), 400, 81054),
    ({"type": "CNAME", "name": NAME, "content": "a.example.net", "ttl": 1},
     400, 81054),
    ({"type": "CNAME", "name": "mail.example.com", "content": "a.example.net",
      "ttl": 1}, 400, 81053),
    ({"type": "CNAME", "name": "www.example.com", "content": "example.com",
      "ttl": 1}, 400, 81057),
    (txt("x", name="child.example.com"), 400, 81056),
])
def test_refusals(fake, api, given, status, code):
    zone = fake.zone("example.com", type="full")
    got, body = api("POST", records(zone), json=given)
    assert (got, body["errors"][0]["code"] if code else None) == (status, code)


def test_odd_requests(fake, api):
    zone = fake.zone("example.com", type="full")
    assert api.code("GET", "/zones/nonsense/dns_records") == (404, 7003)
    assert api.code("GET", "/zones//dns_records") == (400, 7003)
    assert api.code("DELETE", f"{records(zone)}/{'0' * 32}") == (404, 81044)
    assert api.code("DELETE", records(zone)) == (405, 1001)
    assert api.code("POST", records(zone), data="{}") == (400, 6003)
    assert api.code("POST", records(zone), data='{"type":"TXT","type":"A"}',
                    headers={"Content-Type": "application/json"})[0] == 400
    secondary = fake.zone("secondary.example")
    assert api("POST", records(secondary), json=txt("x"))[0] == 400


def test_batch_is_all_or_none(fake, api):
    zone = fake.zone("example.com", type="full")
    batch = records(zone) + "/batch"
    old = api("GET", records(zone) + "?type=TXT&name=" + NAME)[1]["result"][0]
    status, body = api("POST", batch, json={
        "deletes": [{"id": old["id"]}],
        "posts": [txt('"a"'), txt('"b"'), txt("x", name="www.example.com")]})
    assert (status, body["errors"][0]["code"]) == (400, 81054)
    assert fake.values(NAME, "TXT") == [STRANGER]
    status, body = api("POST", batch, json={
        "deletes": [{"id": old["id"]}], "posts": [txt('"a"'), txt('"b"')]})
    assert status == 200 and len(body["result"]["posts"]) == 2
    assert fake.values(NAME, "TXT") == ["a", "b"]
    many = [txt(f'"{n}"') for n in range(201)]
    assert api("POST", batch, json={"posts": many})[0] == 400
    assert api("POST", batch, json={"posts": many[:200]})[0] == 200
    assert len(fake.values(NAME, "TXT")) == 202
