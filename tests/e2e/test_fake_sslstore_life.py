# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The fake store, second part: the life of orders, lists, downloads, every
call once, and the shapes of the facts' own examples.
"""

import base64
import concurrent.futures
import io
import json
import pathlib
import re
import sys
import time
import zipfile

import pytest
import requests
from cryptography.hazmat.primitives.serialization import pkcs7

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fakes"))

import sslstore                         # noqa: E402
import sslstore_contract                # noqa: E402
import sslstore_products                # noqa: E402
from sslstore_world import (            # noqa: E402, F401
    HEADERS, PAIR, active, chain_of, digi, dv, leaf_of, made, make_csr, ms,
    names_of, number_of, reissue_of, shared, world)

DAY = 86400


# the life of an order

def test_the_ca_looks_by_itself(world, tmp_path):
    store = sslstore.Store([world.zone.address], poll_interval=0.05,
                           directory=tmp_path, tls=False)
    with store:
        answer = requests.Session()
        answer.trust_env = False
        order = answer.post(store.url + "/order/neworder", json=dict(
            dv("dns"), AuthRequest=PAIR)).json()
        world.publish(order)
        for _ in range(600):
            if store.control("orders")[0]["major"] == "Active":
                break
            time.sleep(0.05)
        assert store.control("orders")[0]["major"] == "Active"
    assert (tmp_path / "issuer.pem").is_file()


def test_organisations_are_vetted_by_hand(world):
    world.store.control("behaviour", org_vetting="manual")
    address = {"AddressLine1": "1 Main Street", "Region": "Ohio",
               "PostalCode": "44301", "Country": "US",
               "Phone": "13305550100", "LocalityName": "Akron"}
    answer = world.order(dv(
        "dns", ProductCode="sectigoovssl", OrganizationInfo={
            "OrganizationName": "Example Widgets",
            "OrganizationAddress": address}))
    status = world.issue(answer)
    inner = status["OrderStatus"]
    assert inner["MajorStatus"] == "Pending"
    assert inner["DomainAuthVettingStatus"][0]["dcvStatus"] == "Approved"
    assert inner["AuthenticationStatuses"][0]["Status"] == "Pending"
    world.store.control("vet", order=number_of(answer))
    assert world.status(number_of(answer))["OrderStatus"][
        "MajorStatus"] == "Active"
    subject = leaf_of(world, answer).subject.rfc4514_string()
    assert "O=Example Widgets" in subject and "L=Akron" in subject


def test_issue_takes_its_time_and_control_is_remembered(world):
    world.store.control("behaviour", issue_delay=3600,
                        prevalidated=["example.com"])
    answer = world.order(dv("dns"))
    assert answer["OrderStatus"]["DomainAuthVettingStatus"][0][
        "dcvStatus"] == "Approved"
    assert answer["OrderStatus"]["MajorStatus"] == "Pending"
    world.store.control("clock", offset=3601)
    world.store.control("poll")
    assert world.status(number_of(answer))["OrderStatus"][
        "MajorStatus"] == "Active"
    world.store.control("behaviour", issue_delay=0)
    assert world.order(dv("dns"))["OrderStatus"]["MajorStatus"] == "Active"


def test_auto_www(world):
    answer = world.order(dv("dns", AutoWWW=True))
    world.issue(answer)
    assert names_of(leaf_of(world, answer)) == ["www.example.com",
                                                "example.com"]


def test_reissue_with_other_names(world):
    order = active(world, ProductCode="positivemdcssl",
                   DNSNames=["shop.example.com", "example.org"])
    old = leaf_of(world, order)
    body = reissue_of(
        order, DNSNames=["shop.example.com", "example.net"],
        AddSAN=[{"OldValue": "", "NewValue": "example.net"}],
        DeleteSAN=[{"OldValue": "example.org", "NewValue": ""}],
        ApproverEmails="DNS,DNS,DNS")
    assert "ReissueEmail" in world.bad(
        "/order/reissue", body, ReissueEmail="eve@example.com")
    assert "not in the order" in world.bad("/order/reissue", body, DeleteSAN=[
        {"OldValue": "gone.example", "NewValue": ""}])
    answer = world.good("/order/reissue/", body)
    assert answer["OrderStatus"]["MajorStatus"] == "Active"
    assert answer["OrderStatus"]["MinorStatus"] == "PENDING_REISSUE"
    assert number_of(answer) == number_of(order)
    assert answer["PartnerOrderID"] != order["PartnerOrderID"]
    assert answer["CustomOrderID"] == order["CustomOrderID"]
    assert leaf_of(world, order).serial_number == old.serial_number
    status = world.issue(answer)
    assert status["OrderStatus"]["MinorStatus"] == "ISSUED"
    new = leaf_of(world, order)
    assert new.serial_number != old.serial_number
    assert names_of(new) == ["www.example.com", "shop.example.com",
                             "example.net"]
    assert "-9009" in world.bad("/order/reissue", reissue_of(
        order, CSR=body["CSR"], ApproverEmails="DNS,DNS,DNS"))
    assert world.store.control("violations") == []


def test_reissue_loses_what_is_not_said(world):
    order = active(world, ProductCode="positivemdcssl",
                   DNSNames=["shop.example.com"])
    assert world.issue(world.good("/order/reissue", reissue_of(order)))[
        "DNSNames"] == "www.example.com"
    world.good("/order/reissue", reissue_of(
        order, CSRUniqueValue="c3", DNSNames=["example.net"],
        AddSAN=[{"OldValue": "", "NewValue": "example.org"}]))
    found = {(v["member"]) for v in world.store.control("violations")}
    assert found == {"DNSNames"}
    world.good("/order/reissue", reissue_of(
        order, CSRUniqueValue="c4", isWildCard=True, EditSAN=[
            {"OldValue": "example.org", "NewValue": "example.net"}]))
    assert world.store.control("violations")[-1]["member"] == "isWildCard"
    assert world.store.control("orders")[0]["sans"] == ["example.net"]


def test_digicert_keeps_its_method_in_a_reissue(world):
    order = world.issue(world.order(digi("dns")))
    answer = world.good("/order/reissue", reissue_of(
        order, CNAMEAuthDVIndicator=False, FileAuthDVIndicator=True))
    assert answer["OrderStatus"]["DomainAuthVettingStatus"][0][
        "dcvMethod"] == "DNS_CNAME_TOKEN"
    assert world.issue(answer)["OrderStatus"]["MinorStatus"] == "ISSUED"
    world.store.control("behaviour", dcv_reuse=True)
    answer = world.good("/order/reissue", reissue_of(order))
    assert answer["OrderStatus"]["MinorStatus"] == "ISSUED"


def test_renewal(world):
    order = active(world)
    new = world.order(dv("dns", isRenewalOrder=True,
                         RelatedTheSSLStoreOrderID=number_of(order)))
    seen = world.store.control("order", order=number_of(new))
    assert seen["renewal_of"] == number_of(order) != number_of(new)
    world.order(dv("dns", RelatedTheSSLStoreOrderID=number_of(order)))
    assert world.store.control("violations")[-1]["member"] == \
        "RelatedTheSSLStoreOrderID"


def test_orders_run_out(world):
    order = active(world)
    one = {"TheSSLStoreOrderID": number_of(order)}
    held = leaf_of(world, order)
    assert (held.not_valid_after - held.not_valid_before).days == 198
    assert order["CertificateEndDateInUTC"].endswith("11:59:59 PM")
    world.store.control("expire", days=20, order=number_of(order))
    assert world.status(number_of(order))["OrderExpiryDateInUTC"] != \
        order["OrderExpiryDateInUTC"]
    world.store.control("clock", offset=300 * DAY)
    assert world.status(number_of(order))["OrderStatus"][
        "MajorStatus"] == "Expired"
    world.good("/order/download", one)
    assert "cannot be cancelled" in world.bad("/order/refundrequest", one)
    assert "cannot be reissued" in world.bad("/order/reissue",
                                             reissue_of(order))


def test_revocation(world):
    order = active(world)
    one = {"TheSSLStoreOrderID": number_of(order)}
    assert "SerialNumber" in world.bad(
        "/order/certificaterevokerequest", one, SerialNumber="0102")
    world.good("/order/certificaterevokerequest/", one,
               SerialNumber=order["SerialNumber"], RevokeReason="key lost")
    seen = world.store.control("order", order=number_of(order))
    assert seen["major"] == "Revoked"
    assert seen["certificates"][0]["revoked"]["reason"] == "key lost"
    world.bad("/order/certificaterevokerequest", one)
    world.store.control("behaviour", revoked_major="Active")
    order = active(world)
    world.good("/order/revokerequest", RefundReason="moved",
               TheSSLStoreOrderID=number_of(order))
    assert world.status(number_of(order))["OrderStatus"][
        "MinorStatus"] == "REVOKED"


def test_refunds(world):
    order = active(world)
    one = {"TheSSLStoreOrderID": number_of(order)}
    answer = world.good("/order/refundrequest/", one, RefundReason="retired")
    assert answer["isRefundApproved"] is True and answer["RefundRequestID"]
    assert answer["OrderStatus"]["MajorStatus"] == "Cancelled"
    assert world.store.control("orders")[0]["certificates"][0]["revoked"]
    world.good("/order/download", one)
    world.bad("/order/refundrequest", one)
    assert len(world.post("/order/query")) == 1


@pytest.mark.parametrize("mode", ["manual", "poll"])
def test_refunds_that_wait(world, mode):
    world.store.control("behaviour", refund=mode)
    number = number_of(world.order(dv("dns")))
    one = {"TheSSLStoreOrderID": number}
    world.bad("/order/refundstatus", one)
    answer = world.good("/order/refundrequest", one)
    assert answer["isRefundApproved"] is False
    assert answer["OrderStatus"]["MajorStatus"] == "Pending"
    if mode == "manual":
        world.store.control("poll")
        world.store.control("refund", order=number)
    else:
        world.store.control("poll")
    answer = world.good("/order/refundstatus", one,
                        RefundRequestID=answer["RefundRequestID"])
    assert answer["isRefundApproved"] is True
    assert answer["OrderStatus"]["MajorStatus"] == "Cancelled"


def test_refunds_that_come_too_late(world):
    order = active(world)
    one = {"TheSSLStoreOrderID": number_of(order)}
    world.store.control("clock", offset=31 * DAY)
    assert "period is over" in world.bad("/order/refundrequest", one)
    world.store.control("clock", offset=0)
    world.store.control("behaviour", refund="refuse")
    assert "period is over" in world.bad("/order/refundrequest", one)


def test_orders_that_their_own_token_opens(world):
    answer = world.good(
        "/order/inviteorder/", ProductCode="positivessl", ValidityPeriod=12,
        ServerCount=1, RequestorEmail="pki@example.com", ExtraSAN=0)
    assert answer["OrderStatus"]["MajorStatus"] == "Initial"
    assert answer["Token"] == answer["TokenID"] + "#!" + answer["TokenCode"]
    key = {"IsUsedForTokenSystem": True, "Token": answer["Token"]}
    checked = world.raw("/health/validatetoken", json.dumps(key)).json()
    assert checked["ProductCode"] == "positivessl"
    assert world.post("/order/status", AuthRequest=key)[
        "TheSSLStoreOrderID"] == number_of(answer)
    assert "-9008" in json.dumps(world.post("/order/query", AuthRequest=key))
    body = dict(dv("dns"), AuthRequest=key)
    filled = world.good("/order/neworder", body)
    assert number_of(filled) == number_of(answer)
    assert world.issue(filled)["OrderStatus"]["MajorStatus"] == "Active"
    assert "Token is used" in world.bad("/order/neworder", body)
    assert len(world.store.control("orders")) == 1


# lists

def test_pages(world):
    world.store.control("seed", count=250,
                        states=["Active", "Pending", "Cancelled"],
                        products=["positivessl", "digi_rapidssl"])
    sizes, seen = [], []
    for page in range(1, 5):
        got = world.post("/order/query/", PageNumber=page, PageSize=100)
        sizes.append(len(got))
        seen += [number_of(o) for o in got]
    assert sizes == [100, 100, 50, 0]
    assert seen == sorted(seen, reverse=True) and len(set(seen)) == 250
    assert len(world.post("/order/query")) == 250
    for number, size in ((0, 10), (1, 0)):
        assert world.post("/order/query", PageNumber=number, PageSize=size)[
            0]["AuthResponse"]["isError"] is True
    assert world.store.control("violations") == []
    world.store.control("behaviour", page_order="oldest", page_cap=20)
    assert [number_of(o) for o in world.post(
        "/order/query", PageNumber=1, PageSize=100)] == sorted(seen)[:20]
    world.store.control("behaviour", page_order="shuffled", page_cap=0)
    mixed = [number_of(o) for o in world.post("/order/query", PageNumber=1,
                                              PageSize=250)]
    assert sorted(mixed) == sorted(seen) and mixed != sorted(mixed)


def test_filters(world):
    now = time.time()
    world.store.control("seed", count=3, age_days=100, months=12)
    world.store.control("seed", count=2, products=["digi_rapidssl"],
                        prefix="new", age_days=1, months=1)

    def count(**how):
        return len(world.post("/order/query", how))

    assert count(StartDate=ms(now - 10 * DAY)) == 2
    assert count(EndDate=ms(now - 10 * DAY)) == 3
    assert count(StartDate=ms(now - 10 * DAY), EndDate=ms(now)) == 2
    assert count(ProductCode="digi_rapidssl") == 2
    assert count(DomainName="new00001.example.com") == 1
    assert count(CertificateExpireToDate=ms(now + 60 * DAY)) == 2
    assert count(CertificateExpireFromDate=ms(now + 60 * DAY)) == 3
    assert count(StartDate="", SubUserID="") == 5
    assert world.store.control("violations") == []
    assert world.post("/order/query", StartDate="2026-01-01")[0][
        "AuthResponse"]["isError"] is True


def test_the_summary_of_changes(world):
    first = active(world)
    world.store.control("seed", count=3)
    world.store.control("clock", offset=1000)
    now = time.time()
    assert world.good("/order/getmodifiedorderssummary/", StartDate=ms(
        now + 500))["Orders"] == []
    world.good("/order/refundrequest", TheSSLStoreOrderID=number_of(first))
    got = world.good("/order/getmodifiedorderssummary/",
                     StartDate=ms(now + 500), EndDate=ms(now + 5000),
                     PageNumber=1, PageSize=100)
    assert got["TotalOrders"] == 1
    assert [(number_of(o), o["OrderStatus"]["MajorStatus"])
            for o in got["Orders"]] == [(number_of(first), "Cancelled")]
    world.store.control("clock", offset=400 * DAY)
    got = world.good("/order/getmodifiedorderssummary/", PageSize=2,
                     StartDate=ms(now + 399 * DAY), PageNumber=2)
    assert got["TotalOrders"] == 3 and len(got["Orders"]) == 1
    assert got["Orders"][0]["OrderStatus"]["MajorStatus"] == "Expired"


@pytest.mark.parametrize("state", ["Pending", "Active", "Cancelled",
                                   "Expired", "Revoked", "Rejected",
                                   "PENDING_REISSUE"])
def test_orders_made_to_measure(world, state):
    number, = world.store.control("seed", count=1, states=[state], sans=2,
                                  products=["positivemdcssl"])
    inner = world.status(number)["OrderStatus"]
    assert state in (inner["MajorStatus"], inner["MinorStatus"])
    if state in ("Active", "Expired", "Revoked", "PENDING_REISSUE"):
        files = world.good("/order/download", TheSSLStoreOrderID=number)
        assert len(names_of(chain_of(files["Certificates"])[0])) == 3
    number, = world.store.control("seed", count=1, prefix="other")
    seen = world.store.control("advance", order=number, state="Expired")
    assert seen["major"] == "Expired" and seen["expiry"] < time.time()


def test_ten_thousand_orders(world):
    numbers = world.store.control("seed", count=10000)
    assert len(set(numbers)) == 10000
    assert len(world.post("/order/query", PageNumber=100,
                          PageSize=100)) == 100
    assert world.post("/order/query", PageNumber=101, PageSize=100) == []
    leaf_of(world, {"TheSSLStoreOrderID": numbers[-1]})


def test_many_at_once(world):
    numbers = world.store.control("seed", count=32)
    world.store.control("clear")
    world.store.control("latency", seconds=0.2)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda n: requests.post(
            world.store.url + "/order/status", verify=world.store.ca,
            headers=HEADERS, data=json.dumps({
                "AuthRequest": PAIR, "TheSSLStoreOrderID": n})).json()[
                    "TheSSLStoreOrderID"], numbers))
    stats = world.store.control("stats")
    assert got == numbers and stats["requests"] == 32
    assert stats["paths"] == {"/rest/order/status": 32}
    assert 2 <= stats["peak_in_flight"] <= 8


# downloads

def test_zip_and_pkcs7(world):
    order = active(world)
    one = {"TheSSLStoreOrderID": number_of(order)}
    got = world.good("/order/downloadaszip/", one)
    assert got["pkcs7zip"] == ""
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(got["Zip"]))) as packed:
        files = [{"FileContent": packed.read(n).decode()}
                 for n in packed.namelist()]
    leaf, chain = chain_of(files)
    assert leaf.serial_number == leaf_of(world, order).serial_number
    got = world.good("/order/downloadaszip", one, ReturnPKCS7Cert=True)
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(
            got["pkcs7zip"]))) as packed:
        found = pkcs7.load_pem_pkcs7_certificates(
            packed.read("www_example_com.p7b"))
    assert {c.serial_number for c in found} == {
        c.serial_number for c in chain}


# every call once

def test_every_call_answers(world):
    pending = world.order(digi("dns"))
    order = active(world)
    multi = active(world, ProductCode="positivemdcssl",
                   CSRUniqueValue="m1")
    mail = world.order(dv())
    token = world.good("/order/inviteorder", ProductCode="positivessl",
                       ValidityPeriod=12)["Token"]
    one = {"TheSSLStoreOrderID": number_of(order)}
    waits = {"TheSSLStoreOrderID": number_of(mail),
             "DomainNames": "www.example.com"}
    digicert = {"TheSSLStoreOrderID": number_of(pending),
                "DomainName": "www.example.com"}
    csr = {"CSR": make_csr(), "ProductCode": "positivessl"}
    calls = [
        ("/health/validate", {}, "Status"),
        ("/health/validatetoken", {"Token": token,
                                   "IsUsedForTokenSystem": True}, "VendorName"),
        ("/digicert/organizationlist", {}, "OrganizationList"),
        ("/digicert/organizationinfo", {"TSSOrganizationId": 4711},
         "Organization"),
        ("/digicert/domaininfo", digicert, "dcvDetails"),
        ("/digicert/setapprovermethod", dict(
            TheSSLStoreOrderID=number_of(pending), DomainApproverList=[
                {"DomainName": "www.example.com",
                 "ApproverMethod": "DNS_CNAME_TOKEN"}]), "AuthResponse"),
        ("/digicert/checkdcv", digicert, "AuthResponse"),
        ("/csr", csr, "sha256"),
        ("/order/validate", dict(csr, ServerCount=1, ValidityPeriod=12,
                                 WebServerType="Other"), "DomainName"),
        ("/order/agreement", {"ProductCode": "positivessl", "ServerCount": 1,
                              "ValidityPeriod": 12}, "Agreement"),
        ("/order/validateorderparameters", dv("dns"), "AuthResponse"),
        ("/order/neworder", dv("file"), "AuthFileName"),
        ("/order/midtermupgrade", dv(
            "dns", RelatedTheSSLStoreOrderID=number_of(order)), "OrderStatus"),
        ("/order/inviteorder", {"ProductCode": "positivessl",
                                "ValidityPeriod": 12}, "TinyOrderLink"),
        ("/order/reissue", reissue_of(order), "OrderStatus"),
        ("/order/status", one, "OrderStatus"),
        ("/order/live-order-status", one, "OrderStatus"),
        ("/order/query", {}, "OrderStatus"),
        ("/order/getmodifiedorderssummary", {}, "TotalOrders"),
        ("/order/download", one, "Certificates"),
        ("/order/downloadaszip", one, "Zip"),
        ("/order/approverlist", {"ProductCode": "positivessl",
                                 "DomainName": "example.com"},
         "ApproverEmailList"),
        ("/order/resend", dict(waits, ResendEmailType="ApproverEmail"),
         "Timestamp"),
        ("/order/changeapproveremail", dict(
            waits, ResendEmail="webmaster@example.com"), "Timestamp"),
        ("/order/changeapprovermethod", dict(waits, ApproverMethod="CNAME"),
         "Timestamp"),
        ("/order/pmrrequest", {"TheSSLStoreOrderID": number_of(pending)},
         "PMRStatus"),
        ("/order/purchasenewsan", {"TheSSLStoreOrderID": number_of(multi),
                                   "ReserveSANCount": 2}, "AuthResponse"),
        ("/order/certificaterevokerequest", one, "Timestamp"),
        ("/order/revokerequest", {"TheSSLStoreOrderID": number_of(multi)},
         "Timestamp"),
        ("/order/refundrequest", {"TheSSLStoreOrderID": number_of(mail)},
         "RefundRequestID"),
        ("/order/refundstatus", {"TheSSLStoreOrderID": number_of(mail)},
         "isRefundApproved"),
        ("/product/query", {"ProductCode": "positivessl"}, "PricingInfo"),
        ("/setting/setordercallback", {"url": "https://example.com/a"},
         "Timestamp"),
        ("/setting/setpricecallback", {"url": "https://example.com/b"},
         "Timestamp"),
        ("/setting/cancelnotification", {"url": "https://example.com/c"},
         "Timestamp"),
        ("/user/accountdetail", {}, "AccountBalance"),
    ]
    assert {c[0] for c in calls} == set(sslstore_contract.CALLS)
    for path, body, member in calls:
        if path == "/digicert/checkdcv":
            world.publish(world.status(number_of(pending)))
        flat = sslstore_contract.CALLS[path]["auth"] == "flat"
        wire = dict(PAIR, **body) if flat else dict(body, AuthRequest=PAIR)
        answer = world.raw(path, json.dumps(wire)).json()
        answer = answer[0] if isinstance(answer, list) else answer
        auth = answer.get("AuthResponse", answer)
        # this one says so although it worked
        assert auth["isError"] is (path == "/user/accountdetail"), answer
        assert member in answer, path
    assert world.status(number_of(pending))["OrderStatus"][
        "MajorStatus"] == "Active"
    assert len(world.store.control("state")["callbacks"]) == 3
    assert world.store.control("violations") == []


def test_product_query(world):
    everything = world.post("/product/query/", ProductCode="", ProductType=0)
    assert {p["ProductCode"] for p in everything} == set(
        sslstore_products.PRODUCTS)
    assert all(p["PricingInfo"][0]["NumberOfMonths"] for p in everything)
    kinds = {n: {p["ProductCode"] for p in world.post(
        "/product/query", ProductType=n)} for n in (1, 2, 4, 7, 8)}
    assert "positivessl" in kinds[1] and "sectigoevssl" in kinds[2]
    assert "positivesslwildcard" in kinds[4] & kinds[1]
    assert "positivemdcssl" in kinds[7] and "comodocsc" in kinds[8]
    one = world.post("/product/query", ProductCode="positivessl")[0]
    months = [p["NumberOfMonths"] for p in one["PricingInfo"]]
    for count in (1, 3, 6, 12, 13):
        answer = world.post("/order/validateorderparameters",
                            dv("dns", ValidityPeriod=count))
        assert answer["AuthResponse"]["isError"] is (count not in months)


# the facts' own examples

def examples():
    """(heading, parsed block) of every JSON example of the fact sheet."""
    text = shared("sslstore-api.md").read_text()
    text = text[text.index("## 6. "):text.index("## 7. ")]
    for part in text.split("\n### ")[1:]:
        for block in re.findall(r"```json\n(.+?)```", part, re.S):
            yield part.split(" ")[0], json.loads(block)


def alike(wanted, got, where):
    """Every member of the example is there, with the same type."""
    if wanted in (None, "", []) or got in (None, "", []):
        return
    if isinstance(wanted, dict):
        assert isinstance(got, dict), where
        for name, value in wanted.items():
            assert name in got, where + "." + name
            alike(value, got[name], where + "." + name)
    elif isinstance(wanted, list):
        assert isinstance(got, list), where
        alike(wanted[0], got[0], where + "[0]")
    else:
        assert type(wanted) is type(got), where


def test_answers_have_the_shape_of_the_examples(world):
    order = active(world)
    one = {"TheSSLStoreOrderID": number_of(order)}
    multi = {"ProductCode": "positivemdcssl", "DNSNames": ["example.org"],
             "ApproverEmail": "DNS,admin@example.org", "ReserveSANCount": 1}
    got = {
        "6.1": world.order(dv("file")), "6.2": world.order(dv("dns")),
        "6.3": world.order(dv("dns", **multi)),
        "6.5": world.status(number_of(order)),
        "6.6": [world.post("/order/query"),
                world.post("/order/getmodifiedorderssummary")],
        "6.7": world.post("/order/download", one),
        "6.9": world.post("/order/approverlist", ProductCode="positivessl",
                          DomainName="www.example.com"),
        "6.8": world.post("/order/refundrequest", one),
        "6.11": [world.post("/order/status", TheSSLStoreOrderID="1"),
                 world.post("/order/status", TheSSLStoreOrderID="1"),
                 world.post("/order/resend", ResendEmailType="x", **one),
                 world.bad_query()],
        "6.12": world.post("/digicert/organizationlist")}
    compared = 0
    for part, example in examples():
        first = example[0] if isinstance(example, list) else example
        if "AuthResponse" not in first and "isError" not in first \
                and "OrderStatus" not in first:
            continue
        answers = got[part]
        answer = answers.pop(0) if part in ("6.6", "6.11") else answers
        alike(example, answer, part)
        compared += 1
    assert compared == 14


def test_requests_of_the_examples_keep_the_contract():
    paths = {"6.1": "/order/neworder", "6.3": "/order/neworder",
             "6.4": "/order/neworder", "6.5": "/order/status",
             "6.6": "/order/query", "6.8": "/order/refundrequest",
             "6.9": "/order/approverlist", "6.10": "/order/reissue"}
    checked = 0
    for part, example in examples():
        if part not in paths or isinstance(example, list) or \
                "AuthResponse" in example or "OrderStatus" in example:
            continue
        _, found, refusal = sslstore_contract.check(paths[part], example)
        assert refusal is None
        assert [f for f in found if f["kind"] != "missing"] == []
        checked += 1
    assert checked == len(paths)
