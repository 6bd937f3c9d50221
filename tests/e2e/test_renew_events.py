# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Programs that are told of orders: in order, each event once, whatever
happens to them or to placardd.
"""

import lab
from lab_order import order_world  # noqa: F401
from lab_renew import DAY, service, told, years  # noqa: F401


def wait_told(place, n, name="events", timeout=60):
    lab.wait_for(lambda: len(told(place, name)) >= n,
                 "%d events" % n, timeout)
    return told(place, name)


def kinds(place):
    return [one["event"] for one in told(place)]


def test_issued(years, service):
    """One object with the order in it; not of what was before it was
    configured."""
    years.place("old.example.com")
    place = years.reader()
    service.extra = years.extra
    service.start()
    years.place("www.example.com")
    one, = wait_told(place, 1)
    assert one["event"] == "issued" and one["what"] == "certificate"
    assert one["order"]["names"] == ["www.example.com"]
    assert one["order"]["state"] == "issued"
    assert one["text"] == one["order"]["serial"]
    assert one["number"] > 0 and one["time"].startswith("2026-11-22T")
    assert "KEY" not in (place / "events").read_text()


def test_only_what_was_asked_for(years, service):
    place = years.reader("one", events=["failed"])
    other = years.reader("two", events=["issued"])
    service.extra = years.extra
    service.start()
    years.faults({"action": "error", "path": "/order/neworder",
                  "text": "no credit"})
    years.json(*years.new_args("positivessl", years.csr("a.example.com")))
    years.faults()
    years.place("b.example.com")
    assert wait_told(other, 1)[0]["order"]["names"] == ["b.example.com"]
    one, = wait_told(place, 1)
    assert one["event"] == "failed" and "no credit" in one["text"]
    assert one["order"]["state"] == "failed"


def test_a_program_that_fails(years, service):
    """It is asked again, in order, and orders go on meanwhile."""
    place = years.reader()
    (place / "broken").touch()
    service.extra = years.extra
    service.start()
    for name in ("a", "b", "c"):
        years.place(name + ".example.com")
    years.rest(service)
    wait_told(place, 2, "attempts")
    assert {one["order"]["names"][0] for one in told(place, "attempts")} \
        == {"a.example.com"}
    lab.wait_for(lambda: "try=2 status=3" in service.log(), "the log")
    (place / "broken").unlink()
    lines = wait_told(place, 3)
    assert [one["order"]["names"][0] for one in lines] == [
        "a.example.com", "b.example.com", "c.example.com"]


def test_a_program_that_hangs(years, service):
    """It is killed at its deadline; another one waits for nothing."""
    slow = years.reader("slow", timeout="1s")
    quick = years.reader("quick")
    (slow / "hanging").touch()
    service.extra = years.extra
    service.start()
    years.place("a.example.com")
    wait_told(quick, 1)
    lab.wait_for(lambda: "program=slow" in service.log() and "signal=9" in
                 service.log(), "the deadline")
    (slow / "hanging").unlink()
    wait_told(slow, 1)


def test_once_across_restarts(years, service):
    """Killed, reloaded, started again: every event, and none twice but the
    one that was under way."""
    place = years.reader()
    (place / "broken").touch()
    service.extra = years.extra
    service.start()
    years.place("a.example.com")
    years.rest(service)
    wait_told(place, 1, "attempts")
    service.kill()
    (place / "broken").unlink()
    service.start()
    wait_told(place, 1)
    years.place("b.example.com")
    wait_told(place, 2)
    service.hup()
    service.stop()
    service.start()
    years.place("c.example.com")
    numbers = [one["number"] for one in wait_told(place, 3)]
    assert numbers == sorted(set(numbers)) and len(numbers) == 3


def test_expiring_without_renewal(years, service):
    """Nobody renews it from here: said once, in time."""
    place = years.reader(events=["expiring"])
    service.extra = years.extra
    years.place("www.example.com", "--renew-before", "off")
    service.start()
    years.go(168 * DAY)
    service.hup()
    years.rest(service)
    assert told(place) == []
    years.go(172 * DAY)
    service.hup()
    one, = wait_told(place, 1)
    assert "not renewed from here" in one["text"]
    service.hup()
    years.go(180 * DAY)
    service.hup()
    years.rest(service)
    assert kinds(place) == ["expiring"]
    assert years.count("order/reissue") == 0
    years.all_good()
