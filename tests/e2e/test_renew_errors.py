# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Renewals that go wrong: told, tried again later, never ordered twice."""

import os
import pathlib

import pytest

import lab
from lab_order import order_world  # noqa: F401
from lab_renew import DAY, RULES, service, told, years  # noqa: F401


OTHERS = ('[{"AuthResponse": {"isError": false, "Message": []}, '
          '"ProductCode": "other", "ProductName": "Other"}]')
BROKE = ('{"AuthResponse": {"isError": true, "Message": []}, "PartnerCode": '
         '"11112222", "AccountBalance": "0.00", "AllowCredit": false}')


def due(years, order, more=0):
    """Let the order's certificate be due."""
    action = [a for a in years.json("plan", "--days", 400).objects
              if a["id"] == order["id"] and a["number"] == 1][0]
    years.go(years.offset + years.until(action["due"]) + 60 + more)
    return action["action"]


def failure(years, order, what, timeout=60):
    """Wait for an event of the order that says so."""
    def seen():
        return [e["text"] for e in years.order("show", order["id"])["events"]
                if e["event"] in ("renewal-failed", "refused")
                and what in e["text"]]
    lab.wait_for(seen, what, timeout)
    return seen()


def to_the_window(years, service):
    """An order that ends with its certificate: a new one is due."""
    order = years.place("www.example.com")
    years.control("expire", order=order["id"], days=199)
    years.order("refresh", order["id"])
    assert due(years, order) == "renewal"
    service.start()
    return order


def test_refused_for_want_of_credit(years, service):
    """The new order is refused; later it is tried again under the same mark,
    and the plan says why until then."""
    place = years.reader(events=["failed"])
    service.extra = years.extra
    years.faults({"action": "error", "path": "/order/neworder", "times": 0,
                  "skip": 1, "text": "Insufficient credit balance"})
    order = to_the_window(years, service)
    lab.wait_for(lambda: years.rows("SELECT 1 FROM orders WHERE state = 7"),
                 "the refusal")
    years.rest(service)
    action = [a for a in years.plan(20, status=1) if a["id"] == order["id"]]
    assert "no credit" in action[0]["problem"], action
    assert years.order("show", order["id"])["renewedBy"] == "L2"
    lab.wait_for(lambda: told(place), "the event")
    assert told(place)[0]["order"]["local"] == "L2"
    marks = {b["CustomOrderID"] for b in years.bodies("order/neworder")[1:]}
    assert len(marks) == 1
    # Not at once again, and then more and more seldom.
    service.hup()
    years.rest(service)
    assert years.count("order/neworder") == 2
    years.go(years.offset + 400)
    service.hup()
    lab.wait_for(lambda: years.count("order/neworder") == 3, "another try")
    years.rest(service)
    years.faults()
    years.go(years.offset + 700)
    service.hup()
    lab.wait_for(lambda: years.rows(
        "SELECT 1 FROM orders WHERE id = 2 AND state = 2 AND step = 0"),
        "the new order")
    assert {b["CustomOrderID"] for b in years.bodies("order/neworder")[1:]} \
        == marks
    assert len(years.control("orders")) == 2
    assert years.plan(20) == []
    years.all_good()


def test_a_reissue_is_refused(years, service):
    order = years.place("www.example.com")
    assert due(years, order) == "reissue"
    years.faults({"action": "error", "path": "/order/reissue", "times": 1,
                  "text": "not today"})
    service.start()
    failure(years, order, "not today")
    years.rest(service)
    keys = years.keys()
    service.hup()
    years.rest(service)
    assert years.count("order/reissue") == 1
    years.go(years.offset + 400)
    service.hup()
    lab.wait_for(lambda: years.count("order/reissue") == 2, "another try")
    years.rest(service)
    assert years.order("show", order["id"])["notAfter"] > order["notAfter"]
    # The key of the first try serves the second.
    assert years.keys() == keys and len(keys) == 1
    years.all_good()


def test_the_store_is_away(years, service):
    """For an hour: tries with growing gaps, one sentence, and then it is
    done."""
    order = years.place("www.example.com")
    due(years, order)
    years.faults({"action": "status", "path": "/order/status", "times": 0})
    service.start()
    failure(years, order, "HTTP 5")
    for _ in range(2):
        before = years.order("show", order["id"])["renewal"]["tries"]
        years.go(years.offset + 1300)
        service.hup()
        lab.wait_for(lambda: years.order("show", order["id"])["renewal"]
                     ["tries"] > before, "another try", 60)
    assert len(failure(years, order, "HTTP 5")) == 1
    years.faults()
    years.go(years.offset + 3600)
    service.hup()
    lab.wait_for(lambda: years.count("order/reissue") == 1, "the reissue")
    years.rest(service)
    assert years.order("show", order["id"])["notAfter"] > order["notAfter"]
    years.all_good()


def test_email_after_its_end(years, service):
    """Long before, the plan and an event say that there is no next one; when
    it is due nothing is sent."""
    years.go(years.offset + years.until("2027-12-20T12:00:00Z"))
    years.control("behaviour", cert_days=99)
    place = years.reader(events=["expiring"])
    service.extra = years.extra
    order = years.new("positivessl", years.csr("www.example.com"), "email",
                      "--approver-email", "admin@example.com",
                      "--months", "24")
    years.control("approve", order=order["id"])
    years.order("refresh", order["id"], "--wait")
    assert years.plan(90)[0]["problem"] is None
    # One more, in time; the one behind it is not to be.
    done = years.plan(200, status=1)
    assert [a["number"] for a in done] == [1, 2]
    assert "email proves nothing from 2028-03-15" in done[1]["problem"]
    assert done[1]["proofs"][0]["proof"] == "ended"
    years.go(years.offset + years.until(done[0]["due"]) + 60)
    service.start()
    lab.wait_for(lambda: years.count("order/reissue") == 1, "the reissue")
    lab.wait_for(lambda: years.order("show", order["id"])["state"] ==
                 "reissuing", "its state")
    years.control("approve", order=order["id"])
    years.rest(service, 90)
    assert told(place) == []
    service.hup()
    lab.wait_for(lambda: told(place), "the warning")
    assert "without a next one" in told(place)[0]["text"]
    assert years.date() < "2028-03-01"
    years.go(years.offset + years.until("2028-05-10T00:00:00Z"))
    service.hup()
    failure(years, order, "email proves nothing")
    assert years.count("order/reissue") == 1
    years.clean()


def test_product_is_not_sold_any_more(years, service):
    years.faults({"action": "text", "path": "/product/query", "times": 0,
                  "skip": 1, "text": OTHERS})
    order = to_the_window(years, service)
    failure(years, order, "does not sell positivessl")
    assert years.count("order/neworder") == 1
    assert "does not sell" in years.plan(20, status=1)[0]["problem"]


@pytest.mark.parametrize("path, text, what, days", [
    ("/product/query", OTHERS, "does not sell positivessl", 1),
    ("/user/accountdetail", BROKE, "no credit", 145)],
    ids=["product", "credit"])
def test_early_warning(years, service, path, text, what, days):
    """Weeks and months before the new order is due; told once."""
    place = years.reader(events=["expiring"])
    service.extra = years.extra
    order = years.place("www.example.com")
    years.control("expire", order=order["id"], days=199)
    years.order("refresh", order["id"])
    years.faults({"action": "text", "path": path, "times": 0, "text": text})
    years.go(years.offset + days * DAY)
    service.start()
    lab.wait_for(lambda: told(place), "the warning")
    one, = told(place)
    assert what in one["text"] and "without a next one" in one["text"]
    asked = years.count(path[1:])
    service.hup()
    lab.wait_for(lambda: years.count(path[1:]) > asked, "another look")
    years.rest(service)
    assert len(told(place)) == 1
    assert years.count("order/neworder") == 1


def test_key_directory_that_others_see(years, service):
    """No key is made where others may look."""
    order = years.place("www.example.com")
    keys = pathlib.Path(years.state, "keys")
    keys.mkdir(mode=0o755)
    keys.chmod(0o755)
    due(years, order)
    action, = years.plan(5, status=3)
    assert "key-directory" in action["missing"]
    service.start()
    failure(years, order, "chmod 700")
    assert years.keys() == [] and years.count("order/reissue") == 0
    keys.chmod(0o700)
    years.go(years.offset + 400)
    service.hup()
    lab.wait_for(lambda: years.count("order/reissue") == 1, "the reissue")
    years.rest(service)
    years.all_good()


def test_no_request_whose_key_could_be_kept(years, service):
    """renew-key keep of an order of which the book has no request."""
    order = years.place("www.example.com", "--renew-key", "keep")
    due(years, order)
    os.rename(years.state + "/orders.db", years.state + "/gone.db")
    years.order("import", order["id"])
    years.order("refresh", order["id"], "--renew-before", "30d",
                "--renew-key", "keep")
    action, = years.plan(60, status=3)
    assert "no request" in action["missing"]
    service.start()
    failure(years, order, "no request")
    assert years.count("order/reissue") == 0


def test_dead_worker(years, service):
    """The worker that makes keys is gone: an error, and a later try."""
    order = years.place("www.example.com")
    due(years, order)
    libexec = pathlib.Path(years.dir, "libexec")
    libexec.mkdir()
    for name in ("placard-dns", "placard-http", "placard-check"):
        (libexec / name).symlink_to(years.program(name))
    service.environ = {"PLACARD_LIBEXEC": str(libexec)}
    service.start()
    failure(years, order, "new key")
    (libexec / "placard-local").symlink_to(years.program("placard-local"))
    years.go(years.offset + 400)
    service.hup()
    lab.wait_for(lambda: years.count("order/reissue") == 1, "the reissue")
    years.rest(service)
    years.all_good()


FAULTS = [
    ('controller "x" {\nrenew-before = "soon"\n}\n', "renew-before"),
    ('controller "x" {\nrenew-before = "10"\n}\n', "renew-before"),
    ('controller "x" {\nrenew-key = "other"\n}\n', "renew-key"),
    ('notify "x" {\nprogram = "/bin/true"\nevents = { "born" }\n}\n',
     "events"),
    ('ca-rules = "nowhere.conf"\n', "ca-rules")]


def test_configuration(years):
    """File, line and key of what is wrong."""
    years.rules, kept = False, years.extra
    for text, what in FAULTS:
        years.extra = kept + text
        years.write()
        done = years.run("plan")
        assert done.status == 3, done
        line = [i for i, one in enumerate(open(years.config), 1)
                if one.startswith(what)][-1]
        assert "%s:%d: %s: " % (years.config, line, what) in done.err


def test_rules_with_faults(years):
    years.rules = False
    path = os.path.join(years.dir, "rules.conf")
    with open(RULES, encoding="utf-8") as good, \
            open(path, "w", encoding="utf-8") as bad:
        bad.write(good.read() + 'sunset "owl" { from = "2028-01-01" }\n')
    years.extra += 'ca-rules = "%s"\n' % path
    years.write()
    done = years.run("plan")
    assert done.status == 3 and 'sunset: "owl"' in done.err


def test_usage(years):
    for args in (["--renew-before", "soon"], ["--renew-before", "2m"],
                 ["--renew-key", "other"]):
        done = years.run(*years.new_args("positivessl", None, "dns", *args))
        assert done.status == 2 and args[0] in done.err
    assert years.count("order/neworder") == 0
