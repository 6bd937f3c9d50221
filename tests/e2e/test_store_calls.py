# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Every call to the store, through engine and worker, against the fake."""

import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fakes"))

import sslstore_contract                # noqa: E402
import sslstore_render                  # noqa: E402
from lab_store import CONTACT, Shop, shop, sslstore, store  # noqa: E402, F401

# Calls of the fake that placard has no use for.
UNUSED = {"/health/validatetoken", "/order/live-order-status",
          "/order/pmrrequest", "/order/revokerequest",
          "/setting/cancelnotification", "/setting/setordercallback",
          "/setting/setpricecallback"}


def every_call(shop, number, digicert):
    """(path, body) of each call that only needs an order."""
    one = {"TheSSLStoreOrderID": number}
    csr = shop.made("www.example.com")
    return [
        ("/health/status", {}), ("/health/validate", {}),
        ("/user/accountdetail", {}), ("/digicert/organizationlist", {}),
        ("/digicert/organizationinfo", {"TSSOrganizationId": 4711}),
        ("/product/query", {"ProductCode": "", "ProductType": 0}),
        ("/csr", {"ProductCode": "positivessl", "CSR": csr}),
        ("/order/validate", {"ProductCode": "positivessl", "CSR": csr,
                             "ServerCount": 1, "ValidityPeriod": 12,
                             "WebServerType": "Other"}),
        ("/order/validateorderparameters", shop.order("c-9")),
        ("/order/agreement", {"ProductCode": "positivessl",
                              "ServerCount": 1, "ValidityPeriod": 12}),
        ("/order/approverlist", {"ProductCode": "positivessl",
                                 "DomainName": "www.example.com"}),
        ("/order/status", one),
        ("/order/query", {"PageNumber": 1, "PageSize": 100,
                          "StartDate": "/Date(1767225600000)/"}),
        ("/order/getmodifiedorderssummary", {"PageNumber": 1,
                                             "PageSize": 100}),
        ("/order/changeapprovermethod", one | {
            "ApproverMethod": "EMAIL", "ApproverEmail": "admin@example.com",
            "DomainNames": "www.example.com"}),
        ("/order/changeapproveremail", one | {
            "ResendEmail": "webmaster@example.com",
            "DomainNames": "www.example.com"}),
        ("/order/resend", one | {
            "ResendEmailType": "ApproverEmail",
            "ResendEmail": "webmaster@example.com",
            "DomainNames": "www.example.com"}),
        ("/digicert/domaininfo", {"TheSSLStoreOrderID": digicert,
                                  "DomainName": "www.example.com"}),
        ("/digicert/setapprovermethod", {
            "TheSSLStoreOrderID": digicert, "DomainApproverList": [
                {"DomainName": "www.example.com",
                 "ApproverMethod": "DNS_CNAME_TOKEN"}]}),
    ]


def active_calls(shop, number):
    """Those that need a certificate; the last ones end it."""
    one = {"TheSSLStoreOrderID": number}
    return [
        ("/order/download", one), ("/order/downloadaszip", one),
        ("/order/reissue", one | {
            "CSR": shop.made("www.example.com"), "WebServerType": "Other",
            "DNSNames": [], "isRenewalOrder": False, "isWildCard": False,
            "ReissueEmail": CONTACT["Email"], "CNAMEAuthDVIndicator": True,
            "FileAuthDVIndicator": False,
            "HTTPSFileAuthDVIndicator": False,
            "ApproverEmails": "admin@example.com",
            "SignatureHashAlgorithm": "PREFER_SHA2",
            "PreferEnrollmentLink": False, "CSRUniqueValue": "u2"}),
        ("/order/certificaterevokerequest", one | {"SerialNumber": ""})]


def place(shop, body):
    answer = shop.good("/order/neworder", body)
    assert answer["CustomOrderID"] == body["CustomOrderID"]
    return answer["TheSSLStoreOrderID"]


def test_every_call(shop):
    """Nothing that goes out leaves the contract, whatever the call."""
    number = place(shop, shop.order("c-1"))
    digicert = place(shop, shop.order(
        "c-2", ProductCode="digi_ssl_dv_geotrust_flex", CSRUniqueValue="",
        SignatureHashAlgorithm="SHA2-256", DNSNames=["example.com"]))
    shop.control("moods", country="code")
    asked = every_call(shop, number, digicert)
    results, _ = shop.calls(*asked)
    bad = [r for r in results if r["code"] != "ok"]
    assert bad == []
    invited = shop.good("/order/inviteorder", {
        "ProductCode": "positivessl", "ValidityPeriod": 12,
        "ServerCount": 1, "RequestorEmail": "pki@example.com",
        "CustomOrderID": "c-3"})
    assert invited["TinyOrderLink"]
    shop.control("advance", order=number, state="Active")
    later = active_calls(shop, number)
    results = [shop.call(*one) for one in later]
    assert {r["path"]: r["text"] for r in results if r["code"] != "ok"} \
        == {}
    shop.control("advance", order=digicert, state="Active")
    more = [("/order/purchasenewsan", {"TheSSLStoreOrderID": digicert,
                                       "DNSNames": ["a.example.com"],
                                       "ReserveSANCount": 1}),
            ("/order/midtermupgrade", shop.order(
                "c-4", RelatedTheSSLStoreOrderID=number,
                isRenewalOrder=True)),
            ("/order/refundrequest", {"TheSSLStoreOrderID": digicert,
                                      "RefundReason": "test"}),
            ("/order/refundstatus", {"TheSSLStoreOrderID": digicert})]
    for path, body in more:
        shop.good(path, body)
    # A re-check that finds nothing is an answer as well.
    place(shop, shop.order("c-5", ProductCode="digi_rapidssl",
                           CSRUniqueValue="",
                           SignatureHashAlgorithm="SHA2-256"))
    check = shop.call("/digicert/checkdcv", {
        "CustomOrderID": "c-5", "DomainName": "www.example.com"})
    assert check["code"] == "refused" and not check["sent"], check
    shop.clean()
    made = {r["path"][5:] for r in shop.requests()}
    assert made >= set(sslstore_contract.CALLS) - UNUSED


def test_how_it_goes_out(shop):
    shop.good("/order/query", {"PageNumber": 1, "PageSize": 2})
    shop.good("/health/validate")
    shop.good("/digicert/organizationlist")
    wrapped, flat, lists = [r["body"] for r in shop.requests()]
    auth = wrapped.pop("AuthRequest")
    assert wrapped == {"PageNumber": 1, "PageSize": 2}
    nonce = auth.pop("ReplayToken")
    assert len(nonce) == 16
    assert auth.pop("UserAgent").startswith("placard/")
    assert auth == {"PartnerCode": shop.store.pair[0], "AuthToken": "***",
                    "IsUsedForTokenSystem": False}
    assert flat == lists == {"PartnerCode": shop.store.pair[0],
                             "AuthToken": "***"}
    shop.clean()


@pytest.mark.parametrize("tail", ["", "/", "/rest", "/rest/"])
def test_base_url(shop, tail):
    shop.controller("store", url=shop.store.origin + tail)
    shop.good("/health/validate")
    assert shop.requests()[-1]["path"] == "/rest/health/validate"


def test_plain_on_loopback(tmp_path):
    with sslstore.Store(poll_interval=0, tls=False) as one:
        Shop(tmp_path, one).good("/health/validate")


def test_token_forms(shop):
    """From a file (its first line), from a program, and in odd letters."""
    shop.token(shop.store.pair[1] + "\nsecond line")
    shop.controller("store")
    shop.good("/health/validate")
    script = shop.secret_file("give.sh", "#!/bin/sh\necho %s"
                              % shop.store.pair[1], mode=0o700)
    shop.controller("store", auth_token_file=None, auth_token_command=script)
    shop.good("/health/validate")


@pytest.mark.parametrize("token", [
    'quo"te', "back\\slash", "blank in it", "{}", "\u00e9\u00df\u20ac"])
def test_odd_tokens(tmp_path, token):
    with sslstore.Store(poll_interval=0, auth_token=token) as one:
        shop = Shop(tmp_path, one) if token.isascii() else None
        if shop is None:
            (tmp_path / "t").write_text(token + "\n", encoding="utf-8")
            (tmp_path / "t").chmod(0o600)
            shop = Shop.__new__(Shop)
            super(Shop, shop).__init__(tmp_path)
            shop.store, shop.token_file = one, str(tmp_path / "t")
            shop.controller("store")
        shop.good("/health/validate")
        shop.good("/order/query", {"PageNumber": 1, "PageSize": 1})
        assert token not in shop.last.text()


MOODS = [(name, value) for name, allowed in sslstore_render.MOODS.items()
         for value in allowed[1:]
         if (name, value) != ("ids", "null")]


def test_moods(shop):
    """However the store spells it, the call is understood."""
    number = place(shop, shop.order("c-1"))
    shop.control("advance", order=number, state="Active")
    waiting = place(shop, shop.order("c-2"))
    one = {"TheSSLStoreOrderID": number}
    for name, value in MOODS:
        shop.control("moods")
        shop.control("moods", **{name: value})
        results, status = shop.calls(
            ("/order/status", one), ("/order/query", {}),
            ("/order/download", one), ("/product/query", {}),
            ("/order/getmodifiedorderssummary", {}),
            ("/health/validate", {}), ("/user/accountdetail", {}),
            ("/order/status", {"TheSSLStoreOrderID": waiting}))
        assert status == 0, (name, value, results)
        assert len(results[1]["answer"]) == 2
        refused, status = shop.calls(
            ("/order/status", {"TheSSLStoreOrderID": "1"}),
            ("/order/resend", {"TheSSLStoreOrderID": number,
                               "ResendEmailType": "ApproverEmail"}))
        assert status == 1, (name, value, refused)
        assert [r["code"] for r in refused] == ["refused"] * 2
        assert refused[0]["text"] == "sslstore: status: Order not found"
    shop.clean()


def test_parallel(shop):
    """Eight at once, in order of nothing, and each answer to its call."""
    numbers = shop.control("seed", count=40)
    shop.control("latency", seconds=0.05)
    shop.control("clear")
    results, status = shop.calls(*[
        ("/order/status", {"TheSSLStoreOrderID": n}) for n in numbers * 3])
    assert status == 0
    assert [r["answer"]["TheSSLStoreOrderID"] for r in results] \
        == numbers * 3
    stats = shop.control("stats")
    assert stats["requests"] == 120
    assert stats["peak_in_flight"] == 8
    assert stats["connections"] <= 8
    shop.control("clear")
    shop.calls(*[("/order/status", {"TheSSLStoreOrderID": n})
                 for n in numbers], args=("-p", "16"))
    assert shop.control("stats")["peak_in_flight"] == 16


def test_large_answers(shop):
    """More than one frame holds: all of them come all the same."""
    shop.control("seed", count=200)
    page = {"PageNumber": 1, "PageSize": 200}
    results, status = shop.calls(*[("/order/query", page)] * 16)
    assert status == 0
    assert {len(r["answer"]) for r in results} == {200}
    one = len(str(results[0]["answer"]))
    assert one * 16 > 4 << 20, "the test is too small: %d" % one


def test_two_controllers(shop, tmp_path):
    with sslstore.Store(poll_interval=0, partner_code="9",
                        auth_token="SANDBOX-TOKEN") as sandbox:
        first = shop.extra
        other = Shop(tmp_path / "b", sandbox)
        shop.extra = first + other.extra.replace('"store"', '"sandbox"')
        shop.write()
        done = shop.finish(shop.start_calls(), "")
        assert done.status == 3
        assert "--controller: store, sandbox" in done.err
        call = ("/health/validate", {})
        for name in ("store", "sandbox"):
            results, _ = shop.calls(call, args=("-C", name))
            assert results[0]["code"] == "ok"
        assert shop.control("stats")["requests"] == 1
        assert other.control("stats")["requests"] == 1
        assert other.requests()[0]["body"]["PartnerCode"] == "9"
