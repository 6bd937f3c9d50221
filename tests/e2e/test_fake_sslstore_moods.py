# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The fake store, third part: how answers are spelt, what goes wrong, and
the program by itself.
"""

import base64
import io
import json
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import zipfile

import pytest
import requests
from cryptography import x509

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fakes"))

import sslstore                         # noqa: E402
import sslstore_book                    # noqa: E402
import sslstore_http                    # noqa: E402
import sslstore_render                  # noqa: E402
from sslstore_world import (            # noqa: E402, F401
    HEADERS, PAIR, active, chain_of, dv, made, ms, number_of, world)

FAKE = pathlib.Path(sslstore.__file__)


# how answers are spelt

def spell(world, **moods):
    world.store.control("moods")
    world.store.control("moods", **moods)


def test_truth_and_numbers(world):
    order = active(world)
    one = {"TheSSLStoreOrderID": number_of(order)}
    for form, value in (("text", "false"), ("number", 0), ("numtext", "0")):
        spell(world, is_error=form)
        assert world.post("/order/status", one)["AuthResponse"][
            "isError"] == value
    spell(world, booleans="text", numbers="text")
    status = world.status(number_of(order))
    assert status["isRefundApproved"] == "false"
    assert status["Validity"] == "12" and status["CustomerID"] == "0"
    for form, value in (("number", int(number_of(order))), ("null", None)):
        spell(world, ids=form)
        got = world.good("/order/download", one)
        assert got["TheSSLStoreOrderID"] == value


def test_messages(world):
    for form, good, bad in (
            ("auto", None, ["Order not found"]), ("array", [],
                                                  ["Order not found"]),
            ("null", None, "Order not found"), ("string", "",
                                                "Order not found")):
        spell(world, message=form)
        assert world.post("/order/getmodifiedorderssummary")["AuthResponse"][
            "Message"] == good
        assert world.post("/order/status", TheSSLStoreOrderID="1")[
            "AuthResponse"]["Message"] == bad
    spell(world, query_error="object")
    assert world.bad_query()["AuthResponse"]["isError"] is True
    for form, value in (("echo", "n1"), ("null", None), ("empty", "")):
        spell(world, replay=form)
        assert world.post("/order/status", AuthRequest=dict(
            PAIR, ReplayToken="n1"))["AuthResponse"]["ReplayToken"] == value


def test_empty_things(world):
    number = number_of(world.order(dv("dns")))
    for form, value in (("null", None), ("empty", "")):
        spell(world, unused=form)
        assert world.status(number)["AuthFileName"] == value
    spell(world, vetting="null")
    status = world.status(number)
    assert status["OrderStatus"]["DomainAuthVettingStatus"] is None
    assert status["CNAMEAuthName"]
    spell(world, vetting="omit")
    assert "DomainAuthVettingStatus" not in world.status(number)[
        "OrderStatus"]
    spell(world, vetting_domain="empty-main")
    assert world.status(number)["OrderStatus"]["DomainAuthVettingStatus"][0][
        "domain"] == ""
    for form, value in (("array", []), ("null", None)):
        spell(world, empty_arrays=form)
        assert world.status(number)["OrderStatus"][
            "AuthenticationStatuses"] == value
    spell(world, extra_members="yes", query_detail="lean")
    lean = world.post("/order/query")[0]
    assert "XNewMember" in lean and "ProductCode" not in lean
    spell(world, approver_list="null")
    listed = {"ProductCode": "positivessl", "DomainName": "example.com"}
    assert world.post("/order/approverlist", listed)[
        "ApproverEmailList"] is None
    spell(world, approver_junk="yes", address_case="mixed")
    got = world.post("/order/approverlist", listed)["ApproverEmailList"]
    assert "support@geotrust.com" in got and "Admin@example.com" in got


def test_dates(world):
    order = active(world)
    name = "CertificateEndDateInUTC"
    end = world.store.control("orders")[0]["certificates"][0]["end"]
    when = time.gmtime(end)
    clock = {
        "us": "%d/%d/%d 11:59:59 PM" % (when.tm_mon, when.tm_mday,
                                        when.tm_year),
        "uk": "%d/%d/%d 23:59:59" % (when.tm_mday, when.tm_mon,
                                     when.tm_year),
        "iso": time.strftime("%Y-%m-%dT23:59:59Z", when),
        "ms": ms(int(end))}
    for form, value in clock.items():
        spell(world, dates=form)
        got = world.status(number_of(order))
        assert got[name] in (value, ms(end)), form
        assert got[name[:-5]] != got[name] or form == "ms"
    spell(world, dates="mix")
    status = world.status(number_of(order))
    assert len({re.sub(r"\d+", "", v) for k, v in status.items()
                if k.endswith("DateInUTC")}) >= 2
    spell(world)
    assert world.good("/order/status", TheSSLStoreOrderID=number_of(order),
                      DateTimeCulture="en-UK")[name] == clock["uk"]
    number = number_of(world.order(dv("dns")))
    for form, value in (("empty", ""), ("null", None),
                        ("1900", "1/1/1900 12:00:00 AM"),
                        ("0001", "0001-01-01T00:00:00")):
        spell(world, no_date=form)
        assert world.status(number)[name] == value
    spell(world, dates="ms", slashes="escaped")
    text = world.raw("/order/status", json.dumps(
        {"AuthRequest": PAIR, "TheSSLStoreOrderID": number})).text
    assert "\\/Date(" in text


@pytest.mark.parametrize("files,count", [
    ("root-first", 3), ("leaf-first", 3), ("shuffle", 3), ("bundle", 1),
    ("mixed-bundle", 2), ("no-root", 2)])
def test_files_of_a_download(world, files, count):
    order = active(world)
    spell(world, files=files, pem_eol="lf")
    got = world.good("/order/download", TheSSLStoreOrderID=number_of(order))[
        "Certificates"]
    assert len(got) == count and "\r" not in got[0]["FileContent"]
    if files != "no-root":
        assert len(chain_of(got)[1]) == 3


def test_encoded_files(world):
    order = active(world)
    one = {"TheSSLStoreOrderID": number_of(order)}
    plain = world.good("/order/download", one)["Certificates"][2][
        "FileContent"]

    def content():
        return world.good("/order/download", one)["Certificates"][2][
            "FileContent"]

    for form in ("percent", "percent-form"):
        spell(world, pem=form)
        assert content().startswith("-----BEGIN%20CERTIFICATE-----%0D%0A")
        assert urllib.parse.unquote(content()) == plain
        assert ("+" in content()) == (form == "percent" and "+" in plain)
    spell(world, blanks="blank")
    body = content().split("-----")[2]
    assert "+" not in body
    assert body.replace(" ", "+") == plain.split("-----")[2]
    packed = world.good("/order/downloadaszip", one)["Zip"]
    assert "+" not in packed
    zipfile.ZipFile(io.BytesIO(base64.b64decode(packed.replace(" ", "+"))))


def test_downloads_without_certificates(world):
    number = number_of(world.order(dv("dns")))
    for form, value in (("empty", []), ("null", None)):
        spell(world, not_ready=form)
        assert world.good("/order/download", TheSSLStoreOrderID=number)[
            "Certificates"] == value
    number = number_of(active(world, CSRUniqueValue="z1"))
    for form, value in (("empty", []), ("null", None)):
        spell(world, certificates=form)
        assert world.good("/order/download", TheSSLStoreOrderID=number)[
            "Certificates"] == value
    spell(world, certificates="blank")
    assert world.good("/order/download", TheSSLStoreOrderID=number)[
        "Certificates"][0]["FileContent"] == ""


def test_names_of_challenges(world):
    record = world.order(dv("dns"))
    label = record["CNAMEAuthName"].split(".")[0]
    for form, value in (("short", label), ("dot",
                                           record["CNAMEAuthName"] + ".")):
        spell(world, record_name=form)
        assert world.status(number_of(record))["CNAMEAuthName"] == value
    file = world.order(dv("file", CSRUniqueValue="f1"))
    spell(world, file_name="path", file_eol="lf")
    status = world.status(number_of(file))
    assert status["AuthFileName"].startswith("/.well-known/pki-validation/")
    assert status["AuthFileContent"] == file["AuthFileContent"].replace(
        "\r\n", "\n")
    spell(world, file_name="url", words="lower", dns_names="all")
    status = world.status(number_of(file))
    assert status["AuthFileName"].startswith("http://www.example.com/.well")
    assert status["DNSNames"] == "www.example.com"
    assert status["OrderStatus"]["DomainAuthVettingStatus"][0][
        "dcvMethod"] == "http_csr_hash"
    spell(world, words="upper", country="name", dns_names="sans",
          revoke_envelope="wrapped")
    status = world.status(number_of(file))
    assert status["Country"] == "United States" and status["DNSNames"] == ""
    assert world.good("/order/changeapprovermethod", ApproverMethod="CNAME",
                      DomainNames="www.example.com",
                      TheSSLStoreOrderID=number_of(file))["AuthResponse"]


def test_every_mood_and_behaviour_is_known(world):
    """Each allowed value can be set, and the world goes on."""
    order = active(world)
    for name, allowed in sslstore_render.MOODS.items():
        for value in allowed:
            spell(world, **{name: value})
            for path in ("/order/status", "/order/download", "/order/query",
                         "/order/downloadaszip", "/product/query"):
                json.dumps(world.post(path, {} if "query" in path else {
                    "TheSSLStoreOrderID": number_of(order)}))
    for name, (value, _) in sslstore_book.BEHAVIOUR.items():
        world.store.control("behaviour", **{name: value})
    for call in (dict(name="moods", dates="never"),
                 dict(name="behaviour", kindness=1), dict(name="_order"),
                 dict(name="faults", rules=[{"action": "explode"}]),
                 dict(name="faults", rules=[{"action": "drop", "path": "/x"}]),
                 dict(name="faults", rules=[{"action": "drop", "n": 1}])):
        with pytest.raises(KeyError):
            world.store.control(**call)


# what goes wrong

def fault(world, action, **how):
    world.store.control("faults", rules=[dict(how, action=action)])


def ask(world):
    return world.raw("/order/query", json.dumps({"AuthRequest": PAIR}))


def test_a_lost_answer(world):
    fault(world, "lost", path="/order/neworder")
    body = dv("dns")
    with pytest.raises(requests.ConnectionError):
        world.order(body)
    found = world.good("/order/status", CustomOrderID=body["CustomOrderID"])
    assert found["OrderStatus"]["MajorStatus"] == "Pending"
    assert len(world.store.control("orders")) == 1
    last = world.store.control("requests", path="/order/neworder")[-1]
    assert last["fault"] == "lost"


@pytest.mark.parametrize("action", ["drop", "reset"])
def test_a_call_that_never_arrived(world, action):
    fault(world, action, path="/order/neworder")
    body = dv("dns")
    with pytest.raises(requests.ConnectionError):
        world.order(body)
    world.order(body)
    assert len(world.store.control("orders")) == 1


def test_a_storm(world):
    fault(world, "status", code=503, times=4, skip=1,
          headers={"Retry-After": "1"})
    codes = [ask(world).status_code for _ in range(7)]
    assert codes == [200, 503, 503, 503, 503, 200, 200]
    fault(world, "status", times=0, effect=True, path="/order/neworder")
    assert world.raw("/order/neworder", json.dumps(dict(
        dv("dns"), AuthRequest=PAIR))).status_code == 500
    assert len(world.store.control("orders")) == 1


def test_trouble_on_page_two(world):
    world.store.control("seed", count=250)
    fault(world, "status", path="/order/query", match={"PageNumber": 2},
          times=2)

    def page(number):
        return world.raw("/order/query", json.dumps({
            "AuthRequest": PAIR, "PageNumber": number, "PageSize": 100}))

    assert [page(n).status_code for n in (1, 2, 2, 2, 3)] == [
        200, 500, 500, 200, 200]


def test_bodies_that_are_no_answer(world):
    world.store.control("seed", count=2)
    want = {"html": "<html>", "empty": "", "bare": "{}"}
    for action, text in want.items():
        fault(world, action)
        got = ask(world)
        assert got.status_code == 200 and got.text.startswith(text)
        assert action != "empty" or got.text == ""
    fault(world, "text", text="null")
    assert ask(world).json() is None
    fault(world, "cut")
    with pytest.raises(ValueError):
        ask(world).json()
    fault(world, "truncate")
    with pytest.raises(requests.RequestException):
        got = ask(world)
        assert len(got.content) < int(got.headers["Content-Length"])
        raise requests.RequestException("short")
    fault(world, "huge")
    assert len(ask(world).content) > 1 << 20
    fault(world, "deep")
    assert ask(world).text.count("[") == 200
    fault(world, "twice")
    assert ask(world).text.count('"Same"') == 2
    fault(world, "utf8")
    with pytest.raises(UnicodeDecodeError):
        ask(world).content.decode()


@pytest.mark.parametrize("action", sorted(sslstore_http.ACTIONS))
def test_what_a_fault_leaves_behind(world, action):
    """Some strike before the call is carried out, some behind it."""
    fault(world, action, path="/order/neworder", seconds=0.05)
    try:
        world.session.post(world.store.url + "/order/neworder/",
                           json=dict(dv("dns"), AuthRequest=PAIR),
                           allow_redirects=False)
    except requests.RequestException:
        pass
    never = ("status", "html", "error", "drop", "reset", "redirect")
    assert len(world.store.control("orders")) == (action not in never)
    assert world.store.control("requests")[-1]["fault"] == action
    assert world.store.control("state")["faults"][0]["struck"] == 1


def test_redirects_errors_and_patience(world):
    fault(world, "redirect", location="https://example.com/")
    got = world.session.post(world.store.url + "/order/query", data="{}",
                             headers=HEADERS, allow_redirects=False)
    assert got.status_code == 302
    assert got.headers["Location"] == "https://example.com/"
    fault(world, "error", text="ErrorCode:-9009|Message:busy", times=2)
    assert ask(world).json()[0]["AuthResponse"]["Message"] == [
        "ErrorCode:-9009|Message:busy"]
    assert world.bad("/order/resend") == "ErrorCode:-9009|Message:busy"
    fault(world, "latency", seconds=0.2)
    assert ask(world).elapsed.total_seconds() >= 0.2
    fault(world, "hang", seconds=0.2)
    with pytest.raises(requests.ConnectionError):
        ask(world)
    world.store.control("latency", seconds=0.15)
    assert ask(world).elapsed.total_seconds() >= 0.15


def test_every_fault_has_its_test():
    text = pathlib.Path(__file__).read_text()
    for action in sslstore_http.ACTIONS:
        assert '"%s"' % action in text


# the program

@pytest.mark.parametrize("plain", [False, True])
def test_the_program(world, tmp_path, plain):
    command = [sys.executable, str(FAKE), "--port", "0", "--poll", "0",
               "--dns", world.zone.address, "--http", world.web.address,
               "--http-map", "http://other.example=" + world.web.address,
               "--seed", "5", "--mood", "dates=iso", "--behaviour",
               'refund="manual"'] + (["--plain"] if plain else [])
    with subprocess.Popen(command, stdout=subprocess.PIPE,
                          text=True) as program:
        try:
            said = json.loads(program.stdout.readline())
            link = requests.Session()
            link.trust_env = False
            link.verify = said["ca"] or True
            assert (said["ca"] is None) == plain
            pair = {"PartnerCode": said["partner_code"],
                    "AuthToken": said["auth_token"]}

            def post(path, **members):
                return link.post(said["url"] + path, headers=HEADERS,
                                 data=json.dumps(dict(
                                     members, AuthRequest=pair))).json()

            def control(name, **arguments):
                return link.post(said["control"] + name,
                                 json=arguments).json()

            assert len(post("/order/query")) == 5
            order = post("/order/neworder", **dv("file"))
            world.publish(order)
            assert control("poll") is True
            status = post("/order/status",
                          TheSSLStoreOrderID=number_of(order))
            assert status["OrderStatus"]["MajorStatus"] == "Active"
            assert status["PurchaseDateInUTC"].endswith("Z")
            root = x509.load_pem_x509_certificate(
                pathlib.Path(said["issuer"]).read_bytes())
            _, chain = chain_of(post(
                "/order/download",
                TheSSLStoreOrderID=number_of(order))["Certificates"])
            assert root in chain
            assert link.get(said["control"] + "state").json()["orders"] == 6
            assert control("violations") == []
            assert control("nonsense")["error"]
            assert control("order", order="1")["error"]
            program.send_signal(signal.SIGTERM)
            assert program.wait(20) == 0
        finally:
            if program.poll() is None:
                program.kill()
    assert not pathlib.Path(said["issuer"]).exists()
