# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Orders: what goes wrong, and how it ends."""

import json
import os
import sqlite3

import pytest

import lab

from lab_order import WHOLE, counter, order_world, public  # noqa: F401


def text(done):
    return " ".join(e["text"] for e in done.errors()) + done.err


# before anything is sent

@pytest.mark.parametrize("product, csr, options, word", [
    ("positivessl", ["www.example.com"], ["--dcv", "carrier-pigeon"],
     "none of dns, file"),
    ("positivessl", ["www.example.com"], [], "--dcv"),
    ("positivessl", ["www.example.com"],
     ["--dcv", "dns", "--dcv", "a.example.com=file"], "not a name"),
    ("positivesslwildcard", ["*.example.com"], ["--dcv", "file"],
     "wildcard"),
    ("positivesslwildcard", ["www.example.com"], ["--dcv", "dns"],
     "wildcard"),
    ("positivessl", ["*.example.com"], ["--dcv", "dns"], "wildcard"),
    ("positivessl", ["www.example.com", "example.org"], ["--dcv", "dns"],
     "example.org"),
    ("positivemdcssl", ["www.example.com", "a.example.com"],
     ["--dcv", "dns", "--san", "b.example.com"], "a.example.com"),
    ("digi_rapidssl", ["www.example.com"], ["--dcv", "https-file"],
     "https-file"),
    ("positivesl", ["www.example.com"], ["--dcv", "dns"], "positivessl"),
    ("positivessl", ["www.example.com"],
     ["--dcv", "dns", "--days", "90", "--months", "3"], "exclude"),
    ("positivessl", ["www.example.com"],
     ["--dcv", "dns", "--server-type", "Apache2"], "apache2"),
    ("positivessl", ["www.example.com"],
     ["--dcv", "dns", "--approver-email", "me"], "not an address"),
    ("comodocsc", ["Example Widgets"],
     ["--dcv", "dns", "--approver-email", "a@example.com"], "no domains"),
])
def test_refused_here(counter, product, csr, options, word):
    done = counter.json("order", "new", "--product", product, "--csr",
                        counter.csr(*csr), "--contact", counter.contact,
                        *options)
    assert done.status == 2, done
    assert word in text(done), done
    assert counter.requests() == []
    assert counter.rows("SELECT * FROM orders") == []


@pytest.mark.parametrize("content, word", [
    ({"AdminContact": {"EMail": "a@example.com"}}, "EMail"),
    ({"Admin": {}}, "Admin"), ([], "object"),
    ({"AdminContact": {"Email": 1}}, "AdminContact.Email"),
    ({"TSSOrganizationId": "4711"}, "TSSOrganizationId"),
    ({"OrganizationInfo": {"OrganizationAddress": {"Street": "x"}}},
     "OrganizationAddress.Street"),
    ({"AdminContact": {"FirstNam": "A", "LastNam": "B"}}, "LastNam")])
def test_contact_file(counter, content, word):
    done = counter.json("order", "new", "--product", "positivessl", "--csr",
                        counter.csr(), "--dcv", "dns", "--contact",
                        counter.json_file("odd.json", content))
    assert done.status == 3, done
    assert word in text(done) and "odd.json" in text(done)
    assert counter.requests() == []


def test_email_without_address(counter):
    done = counter.json(*counter.new_args("positivessl", None, "email"))
    assert done.status == 2 and "ApproverEmail" in text(done)
    assert counter.requests() == []


@pytest.mark.parametrize("product, mails, word", [
    ("positivessl", ["eve@example.net"], "none of the approver"),
    ("digi_rapidssl", ["admin@example.com", "webmaster@example.com"],
     "exactly one")])
def test_wrong_approver(counter, product, mails, word):
    more = [w for m in mails for w in ("--approver-email", m)]
    done = counter.json(*counter.new_args(product, None, "email", *more))
    assert done.status == 2 and word in text(done), done
    assert counter.bodies("order/neworder") == []


def test_options_of_other_words(counter):
    for args in (["list", "--dcv", "dns"], ["show", "1", "--wait"],
                 ["sync", "--csr", "x"], ["refresh", "1", "--dry-run"],
                 ["show"], ["list", "x"], ["fly"],
                 ["refresh", "1", "--domain", "x"]):
        done = counter.json("order", *args)
        assert done.status == 2, done
    assert counter.requests() == []


def test_terms_are_the_store_s(counter):
    done = counter.json(*counter.new_args("positivessl", None, "dns",
                                          "--months", "13"))
    assert done.status == 2 and "13 months" in text(done), done
    assert counter.bodies("order/neworder") == []


# credentials, refusals

def test_wrong_token(counter):
    order = counter.new()
    counter.token("WRONG-TOKEN", "other")
    counter.controller("store", timeout=4)
    counter.control("behaviour", query_ignores_token=True)
    for args in (counter.new_args(), ["order", "refresh", order["id"]],
                 ["order", "sync"], ["order", "import", order["id"]],
                 ["order", "organizations"],
                 ["order", "cancel", order["id"]],
                 ["order", "approvers", "--product", "positivessl",
                  "example.com"]):
        done = counter.json(*args)
        assert done.status == 4, done
        assert "-9008" in text(done)
        assert "WRONG-TOKEN" not in done.text()
    assert len(counter.control("orders")) == 1


def test_refused_by_the_ca(counter):
    contact = counter.json_file("far.json", WHOLE | {
        "AdminContact": WHOLE["AdminContact"] | {"Country": "Ohio"}})
    done = counter.json(*counter.new_args("positivessl", None, "dns",
                                          "--contact", contact))
    assert done.status == 1, done
    assert "sslstore: neworder: -9009" in text(done)
    order = done.objects[0]
    assert order["state"] == "failed" and "-9009" in order["error"]["text"]
    assert counter.count("order/neworder") == 1
    again = counter.json("order", "refresh", order["id"])
    assert again.status != 0
    counter.ok("order", "delete", order["id"])
    assert counter.json("order", "list").objects == []


def test_silent_downgrade(counter):
    counter.control("behaviour", silent_downgrade=True)
    done = counter.json(*counter.new_args("positivessl", None, "dns",
                                          "--wait"))
    assert done.status == 1, done
    assert "dns was asked for" in text(done) and "email" in text(done)
    order = done.objects[0]
    assert order["state"] == "pending" and order["step"] == "rest"
    done = counter.json("order", "method", order["id"], "--dcv", "dns",
                        "--wait")
    assert done.status == 0, done
    assert done.objects[0]["state"] == "issued"
    counter.all_good()


def test_method_that_is_dropped(counter):
    """The store says yes to a change and does not make it."""
    order = counter.new("positivessl", None, "email", "--approver-email",
                        "admin@example.com")
    counter.faults({"action": "text", "path": "/order/changeapprovermethod",
                    "effect": False, "text": '{"isError": false}'})
    done = counter.json("order", "method", order["id"], "--dcv", "dns",
                        "--wait")
    assert done.status == 1, done
    assert "dns was asked for, the store made it email" in text(done)
    held = counter.order("show", order["id"])
    assert "dns was asked for" in held["error"]["text"]
    counter.faults()
    done = counter.json("order", "method", order["id"], "--dcv", "dns",
                        "--wait")
    assert done.status == 0, done
    assert done.objects[0]["state"] == "issued"
    counter.all_good()


@pytest.mark.parametrize("fault, code, retry, status", [
    ({"action": "status", "code": 503, "times": 0}, "network", True, 6),
    ({"action": "error", "text": "ErrorCode:-9008|Message:Token", "times": 0},
     "auth", False, 4),
    ({"action": "error", "text": "ErrorCode:-9042|Message:No way",
      "times": 0}, "refused", False, 1)])
def test_errors_as_json(counter, fault, code, retry, status):
    """What went wrong while an order was driven stands in its object, with
    the store's number and text."""
    order = counter.new()
    counter.faults(fault | {"path": "/order/status"})
    done = counter.json("order", "refresh", order["id"])
    assert done.status == status, done
    error = done.objects[0]["error"]
    assert error["code"] == code and error["retry"] is retry, error
    assert error["text"].startswith("sslstore: status: ")
    if "text" in fault:
        number, words = fault["text"].removeprefix(
            "ErrorCode:").split("|Message:")
        assert error["text"] == "sslstore: status: %s: %s" % (number, words)
        assert error["text"] in done.err
    assert done.objects[0]["state"] == "pending"


def test_csr_spelling(counter):
    """One retry in the other form, no third."""
    counter.control("behaviour", csr_refuse={"DIGICERT": ["pem"]})
    counter.new("digi_rapidssl")
    assert len(counter.control("orders")) == 1
    assert counter.count("order/neworder") == 2
    assert "%0A" in counter.bodies("order/neworder")[-1]["CSR"]
    counter.control("behaviour", csr_refuse={"*": ["pem", "percent"]})
    done = counter.json(*counter.new_args("digi_rapidssl"))
    assert done.status == 1 and "csr_invalid" in text(done)
    assert counter.count("order/neworder") == 4
    assert len(counter.control("orders")) == 1


# answers that do not come

@pytest.mark.parametrize("action", ["lost", "truncate", "cut", "empty",
                                    "bare"])
def test_lost_answer(counter, action):
    """It has the order and we do not know: looked up and adopted."""
    counter.faults({"action": action, "path": "/order/neworder"})
    done = counter.json(*counter.new_args("positivessl", None, "dns",
                                          "--wait"))
    assert done.status == 0, done
    assert done.objects[0]["state"] == "issued"
    assert counter.count("order/neworder") == 1
    assert len(counter.control("orders")) == 1
    counter.all_good()


def test_lost_answer_and_status_that_knows_no_custom_id(counter):
    """The list of orders is asked as well before anything is sent twice."""
    counter.faults(
        {"action": "lost", "path": "/order/neworder"},
        {"action": "error", "path": "/order/status", "times": 1,
         "text": "Order not found"})
    order = counter.new()
    assert counter.count("order/neworder") == 1
    assert counter.count("order/query") == 1
    assert order["state"] == "pending"


@pytest.mark.parametrize("action", ["drop", "reset"])
def test_request_that_never_arrived(counter, action):
    """Only when the store has had its time and knows nothing is it sent
    again."""
    counter.faults({"action": action, "path": "/order/neworder"})
    counter.controller("store", timeout=2)
    order = counter.new()
    assert order["state"] == "pending"
    assert counter.count("order/neworder") == 2
    assert counter.count("order/query") >= 1
    assert len(counter.control("orders")) == 1


def test_clock_set_back(counter):
    """The book says that the request will be sent in an hour: the window in
    which the store may carry it out begins anew, and is waited for, not
    filled with questions."""
    counter.controller("store", timeout=2)
    counter.faults({"action": "reset", "path": "/order/neworder"})
    proc = counter.popen("--json", *counter.new_args())
    lab.wait_for(lambda: counter.count("order/query") >= 1, "looking")
    proc.kill()
    proc.communicate()
    link = sqlite3.connect(os.path.join(counter.state, "orders.db"))
    with link:
        link.execute("UPDATE orders SET sent = sent + 3600000")
    link.close()
    counter.control("clear")
    order = counter.order("refresh", "L1")
    assert order["state"] == "pending"
    assert counter.count("order/neworder") == 1
    assert counter.count("order/status") <= 4, counter.paths()
    assert len(counter.control("orders")) == 1


def test_everything_is_lost(counter):
    """Then the order stays where it is, and the same command takes it up."""
    csr = counter.csr()
    counter.faults(
        {"action": "lost", "path": "/order/neworder"},
        {"action": "status", "path": "/order/status", "times": 0})
    done = counter.json(*counter.new_args("positivessl", csr),
                        timeout=200)
    assert done.status == 6, done
    assert "do not order again" in done.err
    assert done.objects[0]["state"] == "placing"
    counter.faults()
    again = counter.json(*counter.new_args("positivessl", csr))
    assert again.status == 0, again
    assert again.objects[0]["local"] == done.objects[0]["local"]
    assert len(counter.control("orders")) == 1


def test_store_is_away(counter):
    """Nothing was sent: the order failed, and that is said as passing."""
    args = counter.new_args()
    counter.controller("store", timeout=2, url="http://127.0.0.1:9")
    done = counter.json(*args)
    assert done.status == 6, done
    assert done.objects[0]["state"] == "failed"


def test_reissue_whose_answer_is_lost(counter):
    order = counter.new("positivessl", None, "dns", "--wait")
    counter.faults({"action": "lost", "path": "/order/reissue"})
    new = counter.order("reissue", order["id"], "--csr", counter.csr(),
                        "--wait")
    assert new["state"] == "issued"
    assert counter.count("order/reissue") == 1
    assert new["serial"] != order["serial"]
    counter.all_good()


def test_status_behind_its_reissue(counter):
    """Issued, says the store, and still tells the old serial number: the
    order does not come to rest with the certificate of the old key."""
    old = counter.new("positivessl", None, "dns", "--wait")
    number = old["id"]
    counter.order("reissue", number, "--csr", counter.csr())
    counter.control("approve", order=number)
    late = counter.good("/order/status", {"TheSSLStoreOrderID": number})
    assert late["OrderStatus"]["MinorStatus"] == "ISSUED"
    assert late["SerialNumber"] != old["serial"]
    counter.faults({"action": "text", "path": "/order/status", "times": 1,
                    "text": json.dumps(late | {
                        "SerialNumber": old["serial"]})})
    done = counter.json("order", "refresh", number)
    assert done.status == 6, done
    order = done.objects[0]
    assert (order["state"], order["step"]) == ("issued", "fetch")
    order = counter.order("refresh", number)
    assert order["serial"] == late["SerialNumber"]
    assert order["step"] == "rest"
    assert public(counter.leaf(number).public_key()) == \
        counter.spki("www.example.com")
    counter.all_good()


def test_reissue_refused(counter):
    """The order stays as it was, its CSR as well."""
    order = counter.new("positivessl", None, "dns", "--wait")
    before = counter.rows("SELECT csr, uniq FROM orders")
    counter.faults({"action": "error", "path": "/order/reissue",
                    "text": "ErrorCode:-9009|Message:Vendor says no"})
    done = counter.json("order", "reissue", order["id"], "--csr",
                        counter.csr())
    assert done.status == 1 and "Vendor says no" in text(done), done
    assert done.objects[0]["state"] == "issued"
    assert counter.rows("SELECT csr, uniq FROM orders") == before


def test_refund_whose_answer_is_lost(counter):
    order = counter.new()
    counter.faults({"action": "lost", "path": "/order/refundrequest"})
    assert counter.order("cancel", order["id"])["state"] == "cancelled"
    assert counter.count("order/refundrequest") == 1


# what the store would like to do to the terminal

ODD = "\x1b]0;you\x07\x1b[2J\u009b31m\r\n"


def test_no_steering_of_terminals(counter):
    order = counter.new("positivessl", None, "dns", "--wait")
    number = order["id"]
    told = counter.good("/order/status", {"TheSSLStoreOrderID": number})
    told["OrderStatus"]["MinorStatus"] = "ISSUED" + ODD
    told["OrderStatus"]["DomainAuthVettingStatus"] = [{
        "domain": "www.example.com" + ODD, "dcvMethod": "EMAIL" + ODD,
        "dcvStatus": "Pending"}]
    told |= {"RefundRequestID": "3" + ODD, "VendorOrderID": ODD}
    organisation = {"TSSOrganizationId": 1, "Name": "A" + ODD, "City": None}
    answer = {"AuthResponse": {"isError": False, "Message": None}}
    counter.faults(
        {"action": "text", "path": "/order/status", "times": 0,
         "text": json.dumps(told)},
        {"action": "text", "path": "/order/approverlist", "times": 0,
         "text": json.dumps(answer | {"ApproverEmailList": [
             "admin@example.com", "a@b.c" + ODD, "\u009b@b.c"]})},
        {"action": "text", "path": "/digicert/organizationlist", "times": 0,
         "text": json.dumps(answer | {"OrganizationList": [organisation]})},
        {"action": "error", "path": "/order/resend",
         "text": "ErrorCode:-9042|Message:" + ODD})
    for args in (["refresh", number], ["show", number], ["list"],
                 ["organizations"], ["resend", number],
                 ["approvers", "--product", "positivessl", "example.com"]):
        done = counter.run("order", *args)
        assert done.out or done.err
        for text in (done.out, done.err):
            assert not {"\x1b", "\x07", "\r", "\u009b"} & set(text), (
                args, text)
    assert counter.ok("order", "approvers", "--product", "positivessl",
                      "example.com").lines == ["admin@example.com"]
    assert counter.ok("order", "organizations").out.startswith("1  ")


# what never becomes visible, what cannot be downloaded

def test_not_visible(counter):
    """Exit 5; what was published is taken up again, or back."""
    counter.verify["servers"] = ["127.0.0.1:9"]
    counter.write()
    done = counter.json(*counter.new_args("positivessl", None, "dns",
                                          "--wait", "--timeout", "3"))
    assert done.status in (5, 6), done
    order = done.objects[0]
    assert order["state"] == "pending" and order["step"] == "publish"
    counter.servers(counter.world.where())
    counter.write()
    done = counter.json("order", "refresh", order["id"], "--wait")
    assert done.status == 0, done
    counter.all_good()


def blind(counter, number):
    """Tries once more, and sees nothing."""
    counter.verify["servers"] = ["127.0.0.1:9"]
    counter.write()
    done = counter.json("order", "refresh", number, "--wait", "--timeout",
                        "2")
    assert done.status in (5, 6), done


def test_never_seen(counter):
    """However often it is tried, the journal has one row a record; and
    what has vanished meanwhile is published again."""
    order = counter.new("positivemdcwildcard", counter.csr(
        "example.com", "*.example.org", "example.org"))
    for _ in range(3):
        blind(counter, order["id"])
        assert len(counter.listed()) == 2, counter.listed()
    name, value = (order["challenges"][0][m] for m in ("name", "value"))
    assert counter.world.target(name)
    counter.world.update("example.com", delete=[
        (name + ".", "CNAME", value + ".")])
    assert not counter.world.target(name)
    counter.servers(counter.world.where())
    counter.write()
    done = counter.json("order", "refresh", order["id"], "--wait")
    assert done.status == 0, done
    counter.all_good()


def test_somebody_else_s_record(counter):
    """It was there before: seen, tried again, and left."""
    order = counter.new()
    name, value = (order["challenges"][0][m] for m in ("name", "value"))
    counter.world.update("example.com", add=[
        (name + ".", 60, "CNAME", value + ".")])
    blind(counter, order["id"])
    blind(counter, order["id"])
    counter.servers(counter.world.where())
    counter.write()
    done = counter.json("order", "refresh", order["id"], "--wait")
    assert done.status == 0, done
    assert counter.world.target(name).rstrip(".") == value
    counter.world.update("example.com", delete=[
        (name + ".", "CNAME", value + ".")])
    counter.untouched()


def test_empty_download(counter):
    """The sandbox: active, and nothing to fetch."""
    counter.control("moods", certificates="empty")
    done = counter.json(*counter.new_args("positivessl", None, "dns",
                                          "--wait", "--timeout", "3"))
    assert done.status == 6, done
    order = done.objects[0]
    assert order["state"] == "issued" and order["certificate"] is None
    done = counter.run("order", "download", order["id"], "--out", "x")
    assert done.status == 6, done
    counter.control("moods")
    done = counter.json("order", "refresh", order["id"], "--wait")
    assert done.status == 0, done
    assert done.objects[0]["certificate"]["serial"]
    counter.all_good()


def test_chain_to_nowhere(counter):
    """No root in the answer, none in the system: not taken for good."""
    counter.control("moods", files="no-root")
    done = counter.json(*counter.new_args("positivessl", None, "dns",
                                          "--wait"))
    assert done.status == 1, done
    order = done.objects[0]
    assert order["certificate"] is None and order["error"]
    counter.all_good()


MOODS = [
    {"is_error": "text", "booleans": "text", "numbers": "text"},
    {"message": "null", "empty_arrays": "null", "unused": "null"},
    {"message": "string", "unused": "empty", "empty_arrays": "array"},
    {"vetting": "null"}, {"vetting": "omit"},
    {"vetting_domain": "empty-main"}, {"dates": "iso"}, {"dates": "ms"},
    {"dates": "mix", "no_date": "0001"}, {"no_date": "null"},
    {"slashes": "escaped", "extra_members": "yes"},
    {"record_name": "short"}, {"record_name": "dot"},
    {"words": "upper"}, {"words": "lower"}, {"dns_names": "all"},
    {"blanks": "blank", "pem": "percent-form"}, {"ids": "number"},
]


@pytest.mark.parametrize("moods", MOODS, ids=str)
def test_moods(counter, moods):
    """However the store spells it, the certificate comes."""
    counter.control("moods", **moods)
    csr = counter.csr("www.example.com", "shop.example.com")
    done = counter.json(*counter.new_args("positivemdcssl", csr, "dns",
                                          "--wait"))
    assert done.status == 0, done
    assert done.objects[0]["state"] == "issued"
    counter.all_good()


@pytest.mark.parametrize("moods", [
    {"file_name": "path"}, {"file_name": "url"}, {"file_eol": "lf"},
    {"vetting": "null"}], ids=str)
def test_file_moods(counter, moods):
    counter.control("moods", **moods)
    done = counter.json(*counter.new_args(
        "positivessl", counter.csr("files.example.com"), "file", "--wait"))
    assert done.status == 0, done
    counter.all_good()
