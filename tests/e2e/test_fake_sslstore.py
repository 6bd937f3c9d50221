# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The fake store, driven by a client that is not placard: the wire, the
contract of requests, the products and the proof of domain control.

What the fake says and does is held against the vendor's facts, so that a
test of placard against the fake means something.
"""

import csv
import json
import pathlib
import re
import socket
import sys
import urllib.parse

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fakes"))

import sslstore_contract                # noqa: E402
import sslstore_dcv                     # noqa: E402
import sslstore_products                # noqa: E402
from sslstore_world import (            # noqa: E402, F401
    ADA, HEADERS, PAIR, PKI, chain_of, digi, dv, made, make_csr, names_of,
    shared, world)

# A request with published hashes (EC P-256, CN www.example.com).
VECTOR = """-----BEGIN CERTIFICATE REQUEST-----
MIIBHDCBwgIBADBgMQswCQYDVQQGEwJVUzENMAsGA1UECAwET2hpbzEOMAwGA1UE
BwwFQWtyb24xGDAWBgNVBAoMD0V4YW1wbGUgV2lkZ2V0czEYMBYGA1UEAwwPd3d3
LmV4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEOWmcmXykc0tb
uL8mDV5hVIkrijByNEmlFE1CslsjwkNX14KrdBVCHZb9G4Ieb9NzWYSc/AsbTmjV
D2e4HLKWwaAAMAoGCCqGSM49BAMCA0kAMEYCIQCbp06C5csP82LPdMIwXLGtqL19
wdFJa43X+3bGMNzdvQIhAMNvW6vJPI9TddzJ1pBJDRcBGkfdOmtRDQk7HUp/xZVn
-----END CERTIFICATE REQUEST-----
"""
MD5 = "33E7AEF9AFE28A34FE6C96DDEDF3F267"
SHA = "668c598327ef0ed0870e1227a780f2fe225605ee57909eebb6d61b8c48ed5e0c"


# transport, credentials, envelopes

def test_paths_methods_and_bodies(world):
    url = world.store.url
    get = world.session.get
    for path in ("/health/status", "/health/status/"):
        assert get(url + path).json()["isError"] is False
    for path in ("/health/validate", "/health/validate/"):
        assert world.raw(path, json.dumps(PAIR)).json()["isError"] is False
    for path in ("/order/modifiedsummary", "/csr/decode", "/Order/status"):
        answer = world.raw(path, json.dumps({"AuthRequest": PAIR}))
        assert answer.status_code == 404 and "<html>" in answer.text
    assert get(url + "/order/status/").status_code == 405
    assert world.raw("/order/status", "{").status_code == 400
    assert world.raw("/order/status", "[]").status_code == 400
    assert world.session.post(world.store.origin + "/order/status",
                              json={}).status_code == 404
    kinds = {v["kind"] for v in world.store.control("violations")}
    assert {"path", "body", "header"} <= kinds


@pytest.mark.parametrize("path", sorted(sslstore_contract.CALLS))
def test_a_wrong_token_in_every_envelope(world, path):
    wrong = dict(PAIR, AuthToken="WRONG", ReplayToken="once")
    row = sslstore_contract.CALLS[path]
    body = wrong if row["auth"] == "flat" else {"AuthRequest": wrong}
    answer = world.raw(path + "/", json.dumps(body))
    assert answer.status_code == 200
    doc = answer.json()
    if row["envelope"] == "array":
        assert len(doc) == 1
        doc = doc[0]
    auth = doc if row["envelope"] == "bare" else doc["AuthResponse"]
    assert auth["isError"] is True and auth["ReplayToken"] == "once"
    assert auth["Message"][0].startswith("ErrorCode:-9008|Message:")
    assert auth["InvokingPartnerCode"] == "11112222" and auth["Timestamp"]


def test_the_sandbox_does_not_mind_a_wrong_token_in_query(world):
    world.store.control("behaviour", query_ignores_token=True)
    body = json.dumps({"AuthRequest": dict(PAIR, AuthToken="WRONG")})
    assert world.raw("/order/query", body).json() == []
    assert world.raw("/order/status", body).json()[
        "AuthResponse"]["isError"] is True


def test_secrets_are_not_in_the_log_and_only_in_bodies(world):
    world.post("/order/query")
    world.raw("/health/validate", json.dumps(PAIR))
    log = world.store.control("requests")
    assert [(r["path"], r["http"], r["error"]) for r in log] == [
        ("/rest/order/query", 200, None),
        ("/rest/health/validate", 200, None)]
    assert PAIR["AuthToken"] not in json.dumps(log)
    assert world.store.control("violations") == []
    world.session.post(world.store.url + "/order/query?t="
                       + PAIR["AuthToken"], data="{}", headers=HEADERS)
    assert "secret" in [v["kind"] for v in world.store.control("violations")]


# the contract of requests

def test_departures_are_recorded(world):
    body = dv("dns", ValidityPeriod="12", isCUOrder="false", Colour="red",
              customorderID="x", AdminContact=dict(ADA, email="x@y.example"))
    world.order(body)
    found = {(v["kind"], v["member"])
             for v in world.store.control("violations")}
    assert found == {("text", "ValidityPeriod"), ("text", "isCUOrder"),
                     ("unknown", "Colour"), ("case", "customorderID"),
                     ("case", "AdminContact.email")}


def test_members_in_the_wrong_case_are_lost(world):
    body = dv("dns")
    body["productCode"] = body.pop("ProductCode")
    assert "ProductCode" in world.bad("/order/neworder", body)
    body = dv()
    body["cnameAuthDVIndicator"] = True
    del body["CNAMEAuthDVIndicator"]
    answer = world.order(body)
    assert answer["OrderStatus"]["DomainAuthVettingStatus"][0][
        "dcvMethod"] == "EMAIL"


@pytest.mark.parametrize("member,value", [
    ("ValidityPeriod", True), ("ValidityPeriod", "twelve"),
    ("isRenewalOrder", "maybe"), ("CSR", {}), ("DNSNames", 7),
    ("AdminContact", "Ada"), ("AuthRequest", [])])
def test_types_that_cannot_be_read_are_refused(world, member, value):
    world.bad("/order/neworder", dv("dns"), **{member: value}) \
        if member == "AuthRequest" else world.bad(
            "/order/neworder", dv("dns", **{member: value}))
    assert ("type", member) in {(v["kind"], v["member"].split("[")[0])
                                for v in world.store.control("violations")}


def test_null_is_absent_and_a_member_twice_is_seen(world):
    world.order(dv("dns", SpecialInstructions=None, OrganizationInfo=None))
    assert world.store.control("violations") == []
    text = json.dumps({"AuthRequest": PAIR, "TheSSLStoreOrderID": "1"})
    world.raw("/order/status", text[:-1] + ', "TheSSLStoreOrderID": "2"}')
    assert [v["kind"] for v in world.store.control("violations")] == [
        "duplicate"]
    world.store.control("clear")
    world.raw("/order/query", json.dumps({"AuthRequest": PAIR}),
              {"Content-Type": "text/plain", "Accept": "*/*"})
    assert [v["member"] for v in world.store.control("violations")] == [
        "Content-Type", "Accept"]


@pytest.mark.parametrize("member,value,text", [
    ("ProductCode", "nonsense", "ProductCode"),
    ("ProductCode", "digi_securesite_flex-EO", "ProductCode"),
    ("ValidityPeriod", 13, "ValidityPeriod"), ("ServerCount", 0, "Server"),
    ("WebServerType", "nginx", "WebServerType"), ("CSR", "x", "decoded"),
    ("SignatureHashAlgorithm", "MD5", "SignatureHash"),
    ("CSRUniqueValue", "not good!", "CSRUniqueValue"),
    ("DNSNames", ["other.example.org"], "one domain name"),
    ("isRenewalOrder", True, "RelatedTheSSLStoreOrderID"),
    ("AdminContact", {}, "AdminContact.Email"),
    ("AdminContact", dict(ADA, Country="Germany"), "apprepcountryname"),
    ("AdminContact", dict(ADA, Email="nobody"), "e-mail address"),
    ("HTTPSFileAuthDVIndicator", True, "Only one"),
    ("TSSOrganizationId", 4711, "TSSOrganizationId")])
def test_orders_that_are_refused(world, member, value, text):
    assert text in world.bad("/order/neworder/", dv("dns", **{member: value}))
    assert world.post("/order/query") == []


# products

def filled(product):
    """A body with every member that any category can ask for."""
    common = "*.example.com" if product.wildcard and not product.multi \
        else "www.example.com"
    person = dict(ADA, Title="Admin", OrganizationName="Example Widgets",
                  AddressLine1="1 Main Street", City="Akron", Region="Ohio",
                  PostalCode="44301", Country="US")
    address = {"AddressLine1": "1 Main Street", "City": "Akron",
               "LocalityName": "Akron", "Region": "Ohio", "Country": "US",
               "PostalCode": "44301", "Phone": "13305550100"}
    return dv(None, common, ProductCode=product.code, AdminContact=person,
              TechnicalContact=person, OrganizationInfo={
                  "OrganizationName": "Example Widgets",
                  "JurisdictionCountry": "US",
                  "OrganizationAddress": address},
              SignatureHashAlgorithm="PREFER_SHA2" if product.sectigo
              else "SHA2-256")


def without(body, path):
    body = json.loads(json.dumps(body))
    *above, last = path.split(".")
    inner = body
    for name in above:
        inner = inner[name]
    del inner[last]
    return body


@pytest.mark.parametrize("code", sorted(sslstore_products.PRODUCTS))
def test_every_product_wants_its_fields(world, code):
    product = sslstore_products.PRODUCTS[code]
    body = filled(product)
    base = ["ProductCode", "ValidityPeriod", "ServerCount", "CSR",
            "WebServerType"]
    for path in base + product.required(body):
        message = world.bad("/order/validateorderparameters",
                            without(body, path))
        assert path.split(".")[-1] in message or \
            (path, "csr_invalid") == ("SignatureHashAlgorithm",
                                      message[-11:]) or path == "CSR"
    world.good("/order/validateorderparameters", body)
    answer = world.order(body)
    world.store.control("approve", order=answer["TheSSLStoreOrderID"])
    world.store.control("poll")
    status = world.status(answer["TheSSLStoreOrderID"])
    assert status["OrderStatus"]["MajorStatus"] == "Active"
    assert (status["SerialNumber"] == "") == (
        product.validation == "SCANNING")


def test_the_catalogue_is_that_of_the_facts():
    with open(shared("sslstore-products.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 77
    table = sslstore_products.PRODUCTS
    plain = [r for r in rows if not r["code"].endswith("-EO")]
    assert {r["code"] for r in plain} == set(table)
    for row in plain:
        product = table[row["code"]]
        assert (product.vendor, product.validation, product.category,
                product.wildcard, product.multi) == (
            row["vendor"], row["validation"], row["field_category"],
            row["wildcard"] == "yes", row["multi_domain"] == "yes")
    with_eo = {r["code"][:-3] for r in rows if r["enterprise_org"] == "yes"}
    assert with_eo == {c for c, p in table.items() if p.existing_org}


@pytest.mark.parametrize("code", sorted(
    c for c, p in sslstore_products.PRODUCTS.items() if p.existing_org))
def test_orders_for_an_organisation_that_digicert_knows(world, code):
    listed = world.raw("/digicert/organizationlist", json.dumps(PAIR)).json()
    assert [o["TSSOrganizationId"] for o in listed["OrganizationList"]
            if o["Status"] == "active"] == [4711, 4712]
    body = digi("dns", ProductCode=code, TSSOrganizationId=4711,
                OrganizationInfo={"OrganizationAddress": {}},
                DNSNames=["api.example.com"])
    for part in ("AdminContact", "TechnicalContact", "ApproverEmail"):
        del body[part]
    for number in (9999, 4713):
        assert "TSSOrganizationId" in world.bad(
            "/order/neworder", dict(body, TSSOrganizationId=number))
    assert "missing" in world.bad("/order/neworder",
                                  dict(body, TSSOrganizationId=0))
    status = world.issue(world.order(body))
    assert status["OrderStatus"]["MajorStatus"] == "Active"
    assert status["Organization"] == "Example Widgets"
    assert status["TSSOrganizationId"] == 4711
    assert status["ProductCode"] == code
    world.order(dict(body, OrganizationInfo={"OrganizationName": "Other"}))
    assert world.store.control("violations")[-1]["member"] == \
        "OrganizationInfo"


# domain control, Sectigo's way

def test_the_published_hashes(world):
    answer = world.order(dv("file", CSR=VECTOR))
    assert answer["AuthFileName"] == MD5 + ".txt"
    assert answer["AuthFileContent"] == SHA + "\r\nsectigo.com\r\na1b2c3d4"
    world.store.control("reset")
    answer = world.order(dv("dns", CSR=VECTOR))
    assert answer["CNAMEAuthName"] == "_" + MD5 + ".www.example.com"
    assert answer["CNAMEAuthValue"] == ".".join(
        (SHA[:32], SHA[32:], "a1b2c3d4", "sectigo.com"))
    assert answer["AuthFileName"] is None
    decoded = world.good("/csr/", ProductCode="positivessl", CSR=VECTOR)
    assert (decoded["MD5Hash"], decoded["sha256"]) == (MD5, SHA)
    assert decoded["DomainName"] == "www.example.com"
    assert decoded["Organization"] == "Example Widgets"


@pytest.mark.parametrize("method", ["file", "https", "dns"])
def test_sectigo_end_to_end(world, method):
    key = ec.generate_private_key(ec.SECP256R1())
    answer = world.order(dv(method, CSR=make_csr(key=key)))
    number = answer["TheSSLStoreOrderID"]
    assert answer["OrderStatus"]["MajorStatus"] == "Pending"
    world.store.control("poll")
    assert world.status(number)["OrderStatus"]["MajorStatus"] == "Pending"
    assert "not issued" in world.bad("/order/download",
                                     TheSSLStoreOrderID=number)
    status = world.issue(answer)
    assert status["OrderStatus"]["MajorStatus"] == "Active"
    assert status["OrderStatus"]["DomainAuthVettingStatus"][0][
        "dcvStatus"] == "Approved"
    files = world.good("/order/download", TheSSLStoreOrderID=number)
    leaf, chain = chain_of(files["Certificates"])
    assert len(chain) == 3 and names_of(leaf) == ["www.example.com"]
    assert leaf.public_key().public_numbers() == \
        key.public_key().public_numbers()
    assert int(status["SerialNumber"], 16) == leaf.serial_number
    if method != "dns":
        web = world.tls_web if method == "https" else world.web
        assert web.seen[-1] == ("www.example.com",
                                PKI + answer["AuthFileName"])
        other = world.web if method == "https" else world.tls_web
        assert other.seen == []
    assert world.store.control("violations") == []


def test_what_is_not_quite_there_does_not_count(world):
    answer = world.order(dv("dns"))
    world.zone.put(answer["CNAMEAuthName"], "CNAME", "other.sectigo.com.")
    world.store.control("poll")
    number = answer["TheSSLStoreOrderID"]
    assert world.status(number)["OrderStatus"]["MajorStatus"] == "Pending"
    answer = world.order(dv("file"))
    world.web.put("www.example.com", answer["AuthFileName"],
                  answer["AuthFileContent"] + "\nmore")
    world.store.control("poll")
    order = world.store.control("order", order=answer["TheSSLStoreOrderID"])
    assert order["major"] == "Pending"
    assert "other content" in order["domains"][0]["log"][0]["text"]


def test_sectigo_climbs_to_the_parents_and_digicert_does_not(world):
    answer = world.order(dv("dns", "a.b.example.com"))
    label = answer["CNAMEAuthName"].split(".")[0]
    world.zone.put(label + ".example.com", "CNAME",
                   answer["CNAMEAuthValue"] + ".")
    world.store.control("poll")
    assert world.status(answer["TheSSLStoreOrderID"])["OrderStatus"][
        "MajorStatus"] == "Active"
    answer = world.order(digi("dns", common="a.b.example.com"))
    world.zone.put("_dnsauth.example.com", "CNAME",
                   answer["CNAMEAuthValue"] + ".")
    world.store.control("poll")
    assert world.status(answer["TheSSLStoreOrderID"])["OrderStatus"][
        "MajorStatus"] == "Pending"


def test_where_the_ca_asks_and_fetches(world):
    """The next server is asked when one fails, CNAMEs are followed, and
    without a place of its own a file comes from the domain's address."""
    world.zone.put("www.example.com", "A", "127.0.0.1")
    world.zone.put("_dnsauth.example.org", "CNAME", "far.example.net.")
    world.zone.put("far.example.net", "TXT", '"value"')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        silent = "127.0.0.1:%d" % closed.getsockname()[1]
        checker = sslstore_dcv.Checker([silent, world.zone.address],
                                       timeout=0.3, http_map={
                                           "http://a.example": "[::1]:81"})
        assert checker._place("http", "www.example.com") == ("127.0.0.1", 80)
        assert checker._place("https", "www.example.com") == (
            "127.0.0.1", 443)
        assert checker._place("http", "a.example") == ("::1", 81)
        assert checker.record(["_dnsauth.example.org"], "TXT", "value")[0]
        assert not checker.record(["_dnsauth.example.org"], "TXT", "valu")[0]
        with pytest.raises(OSError):
            checker._place("http", "nowhere.example.com")
    world.zone.put("loop.example.org", "CNAME", "loop.example.org.")
    seen, why = checker.record(["loop.example.org"], "TXT", "x")
    assert not seen and "loop" in why


def test_wildcards(world):
    wild = {"ProductCode": "positivesslwildcard", "common": "*.example.com"}
    for method in ("file", "https"):
        assert "wildcard" in world.bad("/order/neworder", dv(method, **wild))
    assert "wildcard" in world.bad(
        "/order/neworder", dv("dns", ProductCode="positivesslwildcard"))
    assert "wildcard" in world.bad("/order/neworder",
                                   dv("dns", "*.example.com"))
    answer = world.order(dv("dns", **wild))
    assert re.match(r"_[0-9A-F]{32}\.example\.com\Z", answer["CNAMEAuthName"])
    assert world.issue(answer)["OrderStatus"]["MajorStatus"] == "Active"


def mixed(**more):
    return dv("dns", ProductCode="positivemdcssl", ReserveSANCount=2,
              DNSNames=["shop.example.com", "example.org"],
              ApproverEmail="DNS,HTTP,admin@example.org", **more)


def test_mixed_methods_of_a_multi_domain_order(world):
    answer = world.order(mixed())
    assert answer["DNSNames"] == "shop.example.com,example.org"
    entries = answer["OrderStatus"]["DomainAuthVettingStatus"]
    assert [e["dcvMethod"] for e in entries] == [
        "CNAME_CSR_HASH", "HTTP_CSR_HASH", "EMAIL"]
    assert [m["to"] for m in world.store.control("mails")] == [
        "admin@example.org"]
    status = world.issue(answer)
    assert [e["dcvStatus"] for e in status["OrderStatus"][
        "DomainAuthVettingStatus"]] == ["Approved", "Approved", "Pending"]
    assert status["OrderStatus"]["MajorStatus"] == "Pending"
    number = answer["TheSSLStoreOrderID"]
    done = world.store.control("approve", order=number, domain="example.org")
    assert done["major"] == "Active" and done["names"] == [
        "www.example.com", "shop.example.com", "example.org"]
    leaf, _ = chain_of(world.good("/order/download", TheSSLStoreOrderID=number)
                       ["Certificates"])
    assert names_of(leaf) == done["names"]


def test_method_words_that_do_not_fit(world):
    assert "one entry" in world.bad("/order/neworder", dict(
        mixed(), ApproverEmail="DNS,HTTP"))
    answer = world.order(dict(mixed(), ApproverEmail="DNS,CNAME,DNS"))
    assert [e["dcvMethod"] for e in answer["OrderStatus"][
        "DomainAuthVettingStatus"]][1] == "EMAIL"
    assert world.store.control("violations")[0]["member"] == "ApproverEmail"


def test_silent_downgrade(world):
    world.store.control("behaviour", silent_downgrade=True)
    answer = world.order(dv("dns"))
    assert answer["OrderStatus"]["DomainAuthVettingStatus"][0][
        "dcvMethod"] == "EMAIL"
    assert answer["CNAMEAuthName"] is None


def test_a_request_token_is_good_once(world):
    body = dv("dns")
    world.order(body)
    assert "-9009" in world.bad("/order/neworder", body)
    world.order(dict(body, CSRUniqueValue="fresh1"))
    world.store.control("behaviour", token_reuse="accept")
    again = world.order(body)["CustomOrderID"]
    first = world.good("/order/status", CustomOrderID=again)
    assert again == body["CustomOrderID"] == first["CustomOrderID"]
    world.store.control("behaviour", duplicate_custom_id="refuse")
    assert "CustomOrderID" in world.bad("/order/neworder", body)


def test_unique_values_can_be_made_by_the_store(world):
    body = dv("dns")
    del body["CSRUniqueValue"]
    parts = world.order(body)["CNAMEAuthValue"].split(".")
    assert len(parts) == 4
    world.store.control("behaviour", unique_when_missing="generate")
    body = dv("dns")
    del body["CSRUniqueValue"]
    assert len(world.order(body)["CNAMEAuthValue"].split(".")) == 5


@pytest.mark.parametrize("form", ["pem", "oneline", "base64", "percent"])
def test_spellings_of_a_csr(world, form):
    text = make_csr()
    text = {"pem": text.replace("\n", "\r\n"),
            "oneline": text.replace("\n", ""),
            "base64": "".join(text.splitlines()[1:-1]),
            "percent": urllib.parse.quote(text, safe="")}[form]
    number = world.order(dv("dns", CSR=text))["TheSSLStoreOrderID"]
    assert world.store.control("order", order=number)["csr_form"] == form
    world.store.control("behaviour", csr_refuse={"COMODO": [form]})
    assert re.search("csr_invalid|decoded", world.bad(
        "/order/neworder", dv("dns", CSR=text, CSRUniqueValue="x2")))


# domain control, DigiCert's way

@pytest.mark.parametrize("method,word", [("dns", "DNS_CNAME_TOKEN"),
                                         ("file", "FILE")])
def test_digicert_end_to_end(world, method, word):
    answer = world.order(digi(method))
    number = answer["TheSSLStoreOrderID"]
    entry = answer["OrderStatus"]["DomainAuthVettingStatus"][0]
    assert entry["dcvMethod"] == word
    if method == "dns":
        assert entry["DNSName"] == "_dnsauth.www.example.com"
        assert entry["DNSEntry"].endswith(".dcv.digicert.com")
        assert answer["CNAMEAuthName"] == entry["DNSName"]
    else:
        assert answer["AuthFileName"] == "fileauth.txt"
        assert re.match(r"[a-z0-9]{28}\Z", answer["AuthFileContent"])
    check = {"TheSSLStoreOrderID": number, "DomainName": "www.example.com",
             "CustomOrderID": ""}
    assert world.bad("/digicert/checkdcv/", check).startswith(
        "ErrorCode:-9009|")
    world.store.control("behaviour", checkdcv_error=False)
    world.good("/digicert/checkdcv/", check)
    assert world.status(number)["OrderStatus"]["MajorStatus"] == "Pending"
    world.publish(answer)
    world.good("/digicert/checkdcv/", check)
    assert world.status(number)["OrderStatus"]["MajorStatus"] == "Active"
    chain_of(world.good("/order/download",
                        TheSSLStoreOrderID=number)["Certificates"])


@pytest.mark.parametrize("owner", ["", "_dnsauth"])
def test_digicert_mixed_with_txt(world, owner):
    world.store.control("behaviour", txt_owner=owner)
    answer = world.order(digi(
        "dns", ProductCode="digi_ssl123_flex", DNSNames=["*.example.org"],
        ApproverEmail="dns_cname_token,DNS"))
    entry = answer["OrderStatus"]["DomainAuthVettingStatus"][1]
    assert entry["dcvMethod"] == "DNS"
    assert entry["DNSName"] == (owner + "." if owner else "") + "example.org"
    assert world.issue(answer)["OrderStatus"]["MajorStatus"] == "Active"


def test_digicert_rules(world):
    assert "Only one approver" in world.bad("/order/neworder", digi(
        ApproverEmail="admin@example.com,webmaster@example.com"))
    assert "not valid for" in world.bad("/order/neworder", digi(
        ApproverEmail="ada@example.com"))
    assert "HTTPS" in world.bad("/order/neworder", digi("https"))
    body = digi("dns")
    del body["SignatureHashAlgorithm"]
    assert "csr_invalid" in world.bad("/order/neworder", body)
    assert "not with DigiCert" in world.bad(
        "/digicert/checkdcv", DomainName="www.example.com",
        TheSSLStoreOrderID=world.order(dv("dns"))["TheSSLStoreOrderID"])
    world.store.control("behaviour", digicert_cname_flag="txt")
    answer = world.order(digi("dns"))
    assert answer["OrderStatus"]["DomainAuthVettingStatus"][0][
        "dcvMethod"] == "DNS"


# approvers

def test_approver_addresses(world):
    listed = world.good("/order/approverlist/", ProductCode="positivessl",
                        DomainName="www.example.com")
    assert listed["baseDomainName"] == "example.com"
    assert len(listed["ApproverEmailList"]) == 10
    assert listed["ApproverEmailList"][0] == "admin@example.com"
    assert "ApproverEmail" in world.bad("/order/neworder", dv(
        ApproverEmail="ada@example.com"))
    assert "ProductCode" in world.bad(
        "/order/approverlist", DomainName="example.com",
        ProductCode="digi_securesite_flex-EO")


def test_approval_by_mail_and_its_changes(world):
    number = world.order(dv())["TheSSLStoreOrderID"]
    one = {"TheSSLStoreOrderID": number, "DomainNames": "www.example.com"}
    assert "not an approver" in world.bad(
        "/order/changeapproveremail", one, ResendEmail="ada@example.com")
    world.good("/order/changeapproveremail", one,
               ResendEmail="webmaster@example.com")
    world.good("/order/resend", one, ResendEmailType="ApproverEmail",
               ResendEmail="webmaster@example.com")
    assert [m["to"] for m in world.store.control("mails")] == [
        "admin@example.com"] + ["webmaster@example.com"] * 2
    world.store.control("poll")
    assert world.status(number)["OrderStatus"]["MajorStatus"] == "Pending"
    world.store.control("approve", order=number, domain="www.example.com")
    assert world.status(number)["OrderStatus"]["MajorStatus"] == "Active"
    assert world.bad("/order/resend", one, ResendEmail="",
                     ResendEmailType="ApproverEmail") == \
        "Order is not pending"


def test_another_method_and_the_same_one_again(world):
    answer = world.order(dv())
    number = answer["TheSSLStoreOrderID"]
    one = {"TheSSLStoreOrderID": number, "DomainNames": "www.example.com"}
    world.good("/order/changeapprovermethod", one, ApproverMethod="FILE")
    assert world.status(number)["AuthFileName"].endswith(".txt")
    world.good("/order/changeapprovermethod", one, ApproverMethod="CNAME")
    status = world.status(number)
    assert status["AuthFileName"] == "" and status["CNAMEAuthName"]
    world.publish(status)
    world.good("/order/changeapprovermethod", one, ApproverMethod="CNAME")
    assert world.status(number)["OrderStatus"]["MajorStatus"] == "Active"
    assert "not pending" in world.bad("/order/changeapprovermethod", one,
                                      ApproverMethod="CNAME")
