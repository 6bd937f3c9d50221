# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Calls to the store that go wrong: what is said, what is repeated, and what
never is.
"""

import os
import signal

import pytest

import lab
from lab_net import LabError, descendants, wait_for
from lab_store import shop, sslstore, store, Shop  # noqa: F401

STATUS = ("/order/status", {"TheSSLStoreOrderID": "1"})
LOOK = {"path": "product/query", "request": {"ProductCode": "positivessl"}}

# action of the fake -> (code, words) of a call that only looks
SENSELESS = {
    "html": ("protocol", "a page of HTML"),
    "truncate": ("network", ""), "cut": ("protocol", "product/query: line"),
    "empty": ("protocol", "the answer is empty"),
    "bare": ("protocol", "no AuthResponse"),
    "text": ("protocol", "no AuthResponse"),
    "huge": ("protocol", "too large"), "deep": ("protocol", "nested"),
    "twice": ("protocol", "twice"), "utf8": ("protocol", "product/query"),
    "drop": ("network", ""), "reset": ("network", ""),
    "lost": ("network", ""), "redirect": ("protocol", "HTTP 302"),
    "status": ("network", "HTTP 500"),
}
CODES = {"network": 6, "protocol": 6, "refused": 1, "auth": 4}


# wrong credentials

def test_wrong_token(shop):
    """Exit status 4, the store's words, and not one call more than needed."""
    shop.token("WRONG-TOKEN")
    results, status = shop.calls(*[STATUS] * 200)
    assert status == 4
    assert {(r["code"], r["text"]) for r in results} == {
        ("auth", "sslstore: status: -9008: Token/Authentication Failure")}
    assert {r["number"] for r in results} == {-9008}
    assert not any(r["sent"] for r in results)
    assert len(shop.requests()) <= 64
    assert "WRONG-TOKEN" not in shop.last.text()


@pytest.mark.parametrize("path", [
    "order/neworder", "order/query", "order/resend", "health/validate",
    "digicert/organizationlist", "product/query"])
def test_wrong_token_everywhere(shop, path):
    """In each of the envelopes."""
    shop.token("WRONG-TOKEN")
    body = shop.order() if path == "order/neworder" else {}
    results, status = shop.calls((path, body))
    assert status == 4 and results[0]["code"] == "auth", results
    assert results[0]["attempts"] == 1


@pytest.mark.parametrize("make, words", [
    (lambda path: os.unlink(path), "No such file"),
    (lambda path: open(path, "w").close(), "empty"),
])
def test_no_token(shop, make, words):
    make(shop.token_file)
    results, status = shop.calls(STATUS)
    assert status == 3 and words in results[0]["text"], results
    assert not results[0]["sent"]
    assert shop.requests() == []


def test_http_401(shop):
    shop.faults({"action": "status", "code": 401, "times": 0})
    results, status = shop.calls(LOOK)
    assert status == 4
    assert results[0]["text"] == "sslstore: product/query: HTTP 401"
    assert results[0]["attempts"] == 1


# what only looks is tried again

@pytest.mark.parametrize("action", sorted(SENSELESS))
def test_looks_again(shop, action):
    shop.faults({"action": action, "times": 1, "text": "{}"})
    one = shop.call(**LOOK)
    assert one["code"] == "ok", one
    assert one["attempts"] == 2
    assert len(shop.requests()) == 2


@pytest.mark.parametrize("action", sorted(SENSELESS))
def test_gives_up(shop, action):
    code, words = SENSELESS[action]
    shop.faults({"action": action, "times": 0, "text": "[7]"})
    results, status = shop.calls(LOOK | {"tries": 2})
    assert results[0]["code"] == code, results
    assert words in results[0]["text"]
    assert results[0]["text"].startswith("sslstore: product/query")
    assert results[0]["attempts"] == 2 and len(shop.requests()) == 2
    assert status == CODES[code]


def test_protocol_tries(shop):
    """Nonsense is not asked for as often as a network is."""
    shop.faults({"action": "html", "times": 0})
    assert shop.call(**LOOK)["attempts"] == 3
    shop.faults({"action": "status", "code": 503, "times": 0})
    assert shop.call(**LOOK)["attempts"] == 5


def test_retry_after(shop):
    """Obeyed where it is short, refused where it is not."""
    limit = {"action": "status", "code": 429, "headers": {"Retry-After": "1"}}
    shop.faults(limit)
    assert shop.call(**LOOK)["code"] == "ok"
    first, second = [r["time"] for r in shop.requests()]
    assert second - first >= 1
    shop.faults(limit | {"headers": {"Retry-After": "3600"}, "times": 0})
    one = shop.call(**LOOK)
    assert one["code"] == "limit" and one["attempts"] == 1


@pytest.mark.parametrize("code", [400, 404, 405, 413])
def test_turned_away(shop, code):
    """Our fault: not again, and nothing was done."""
    shop.faults({"action": "status", "code": code, "times": 0})
    one = shop.call(**LOOK)
    assert one["code"] == "refused" and one["attempts"] == 1
    assert one["text"] == "sslstore: product/query: HTTP %d" % code
    assert not one["sent"]


def test_error_text(shop):
    shop.faults({"action": "error", "times": 0, "text":
                 "ErrorCode:-9009|Message:Vendor returns error: \u00e9\x07"})
    results, status = shop.calls(LOOK)
    assert status == 1
    assert results[0]["text"] == ("sslstore: product/query: -9009: Vendor "
                                  "returns error: \u00e9\\x07")
    assert results[0]["number"] == -9009


# what costs money is not

@pytest.mark.parametrize("action", sorted(set(SENSELESS) | {"hang"}))
def test_neworder_once(shop, action):
    """One request, whatever happens; `sent` tells to look it up."""
    body = shop.order("c-7")
    if action == "hang":
        shop.controller("store", timeout=2)
    shop.faults({"action": action, "path": "/order/neworder", "times": 0,
                 "text": "7", "code": 500, "seconds": 20})
    one = shop.call("/order/neworder", body)
    assert one["code"] in ("network", "protocol"), one
    assert one["attempts"] == 1
    assert len(shop.requests("/order/neworder")) == 1
    assert one["sent"] == (action != "redirect"), one
    # Adopted by its own id where it came through.
    found = shop.call("/order/status", {"CustomOrderID": "c-7"})
    assert (found["code"] == "ok") == bool(shop.control("orders")), found
    if action in ("lost", "hang", "huge", "cut", "truncate"):
        assert found["answer"]["TheSSLStoreOrderID"]


def test_writes_go_alone(shop):
    """Several orders in one go: one request each, also when one is lost."""
    bodies = [shop.order("c-%d" % i, "n%d.example.com" % i)
              for i in range(4)]
    shop.faults({"action": "lost", "path": "/order/neworder", "skip": 1})
    results, status = shop.calls(*[("/order/neworder", b) for b in bodies])
    assert [r["code"] for r in results] == ["ok", "network", "ok", "ok"]
    assert [r["sent"] for r in results] == [True] * 4
    assert status == 6
    assert len(shop.requests("/order/neworder")) == 4
    assert len(shop.control("orders")) == 4


# the network

def test_nobody_there(shop):
    shop.controller("store", url="https://127.0.0.1:%d"
                    % lab.free_port("127.0.0.1"))
    results, status = shop.calls(LOOK | {"tries": 2},
                                 ("/order/neworder", shop.order()))
    assert status == 6
    assert [r["code"] for r in results] == ["network"] * 2
    assert [r["attempts"] for r in results] == [2, 1]
    assert not any(r["sent"] for r in results)


def test_strange_certificate(shop):
    """Credentials go to nobody who cannot show who he is."""
    shop.controller("store", ca_file=None)
    one = shop.call("/order/neworder", shop.order())
    assert one["code"] == "network" and not one["sent"], one
    assert "certificate" in one["text"].lower()
    assert shop.requests() == []


def test_silence(shop):
    shop.controller("store", timeout=1)
    shop.faults({"action": "hang", "seconds": 30, "times": 0})
    one = shop.call(**LOOK | {"tries": 1})
    assert one["code"] == "network" and one["sent"], one


def test_slow_but_patient(shop):
    """An authority that is asked in line takes its time: no rule about
    slowness below the time of the call."""
    shop.faults({"action": "latency", "seconds": 11,
                 "path": "/order/neworder"})
    one = shop.call("/order/neworder", shop.order())
    assert one["code"] == "ok", one


# our own side

@pytest.mark.parametrize("path", ["order/none", "../health/status", "",
                                  "order/neworder/", "setting/settemplate"])
def test_unknown_call(shop, path):
    one = shop.calls({"path": path, "request": {}})[0][0]
    assert one["code"] == "invalid" and "no such call" in one["text"], one
    assert shop.requests() == []


@pytest.mark.parametrize("name", ["AuthRequest", "PartnerCode", "AuthToken",
                                  "Token", "TokenID", "TokenCode"])
def test_no_foreign_credentials(shop, name):
    one = shop.call("/order/status", {name: "x"})
    assert one["code"] == "invalid", one
    assert "without credentials" in one["text"]
    assert shop.requests() == []


def killed(shop, call, sign):
    """One call whose worker gets a signal while the store thinks."""
    shop.faults({"action": "latency", "seconds": 3, "times": 1})
    proc = shop.start_calls()
    proc.stdin.write(shop.script([call]))
    proc.stdin.close()
    proc.stdin = None
    try:
        wait_for(lambda: shop.requests(), "the request", gap=0.02)
        found = lab.workers_of(proc.pid)
        assert len(found) == 1, found
        os.kill(list(found)[0], sign)
        done = shop.finish(proc)
    except LabError:
        proc.kill()
        raise
    return done.objects[0]


def test_worker_dies_looking(shop):
    one = killed(shop, LOOK, signal.SIGKILL)
    assert one["code"] == "ok" and one["attempts"] == 2, one


def test_worker_dies_ordering(shop):
    """Nobody knows whether it went through: said, and not repeated."""
    one = killed(shop, ("/order/neworder", shop.order("c-1")),
                 signal.SIGKILL)
    assert one["code"] == "undone" and one["sent"], one
    assert one["attempts"] == 1
    assert len(shop.requests("/order/neworder")) == 1


def test_no_worker(shop, tmp_path):
    shop.environ["PLACARD_LIBEXEC"] = str(tmp_path)
    results, status = shop.calls(STATUS)
    assert status == 3 and "placard-http" in results[0]["text"], results
    assert not results[0]["sent"]


# secrets

def test_token_stays_inside(shop):
    """Not in the debug log, not in an error that repeats it, not in the
    environment or arguments of a process."""
    token = shop.store.pair[1]
    shop.faults({"action": "error", "times": 0,
                 "text": "token %s is wrong" % token})
    one = shop.call(**LOOK)
    assert one["code"] == "refused"
    assert token not in shop.last.text()
    assert one["text"] == "sslstore: product/query: token %s is wrong" % (
        "*" * len(token))
    shop.faults()
    shop.good("/order/query", {"PageNumber": 1, "PageSize": 1})
    assert token not in shop.last.text()
    assert "/rest/order/query" in shop.last.err     # the debug log was on
    shop.faults({"action": "latency", "seconds": 2})
    proc = shop.start_calls()
    proc.stdin.write(shop.script([STATUS]))
    proc.stdin.close()
    proc.stdin = None
    wait_for(lambda: len(shop.requests()) > 2, "the request", gap=0.02)
    for pid in {proc.pid, *descendants(proc.pid)}:
        for name in ("environ", "cmdline"):
            with open("/proc/%d/%s" % (pid, name), "rb") as text:
                assert token.encode() not in text.read()
    shop.finish(proc)
    shop.clean()


# a worker that is not what it should be

LIAR = """#!/usr/bin/python3
import os, socket, struct
HOW = %r
link = socket.socket(fileno=3)

def take(n):
    data = b""
    while len(data) < n:
        more = link.recv(n - len(data))
        if not more:
            os._exit(0)
        data += more
    return data

def frame():
    size = struct.unpack("<I", take(4))[0]
    body = take(size)
    return body[0], body[1:]

def text(s):
    s = s.encode()
    return struct.pack("<I", len(s)) + s + b"\\0"

def send(kind, body):
    link.sendall(struct.pack("<IB", len(body) + 1, kind) + body)

def error(code=0, words=""):
    return struct.pack("<IIIQ", code, 0, 0, 0) + text(words)

GOOD = '{"AuthResponse":{"isError":false}}'

def result(answer=GOOD, code=0):
    none = struct.pack("<I", 0xffffffff)
    return error(code, "x") + struct.pack("<QB", 0, 1) + (
        none if answer is None else text(answer))

kind, body = frame()
send(2, error())
while True:
    kind, body = frame()
    call, ms, parallel, n = struct.unpack_from("<IIII", body)
    head = struct.pack("<II", call, n)
    if HOW == "good":
        send(kind + 1, head + result() * n)
    elif HOW == "call":
        send(kind + 1, struct.pack("<II", call + 1, n) + result() * n)
    elif HOW == "count":
        send(kind + 1, struct.pack("<II", call, n + 1) + result() * (n + 1))
    elif HOW == "short":
        send(kind + 1, head + (result() * n)[:-9])
    elif HOW == "nothing":
        send(kind + 1, b"")
    elif HOW == "json":
        send(kind + 1, head + result("{nonsense") * n)
    elif HOW == "both":
        send(kind + 1, head + result(GOOD, 6) * n)
    elif HOW == "neither":
        send(kind + 1, head + result(None, 0) * n)
    elif HOW == "type":
        send(6, head + result() * n)
    elif HOW == "twice":
        send(kind + 1, head + result() * n)
        send(kind + 1, head + result() * n)
    elif HOW == "huge":
        link.sendall(struct.pack("<I", 0x7fffffff))
    elif HOW == "exit":
        os._exit(1)
"""


def liar(shop, tmp_path, how):
    folder = tmp_path / "libexec"
    folder.mkdir()
    program = folder / "placard-http"
    program.write_text(LIAR % how, encoding="ascii")
    program.chmod(0o755)
    shop.environ["PLACARD_LIBEXEC"] = str(folder)


@pytest.mark.parametrize("how", [
    "call", "count", "short", "nothing", "json", "both", "neither", "type",
    "huge", "exit"])
def test_worker_lies(shop, tmp_path, how):
    """It is got rid of; an order that it had may have gone out."""
    liar(shop, tmp_path, how)
    results, status = shop.calls(
        LOOK | {"tries": 2}, ("/order/neworder", shop.order()))
    look, order = results
    assert look["code"] in ("protocol", "undone"), look
    assert look["attempts"] == 2
    assert order["code"] in ("protocol", "undone") and order["sent"], order
    assert order["attempts"] == 1 and order["answer"] is None
    assert status == 6


@pytest.mark.parametrize("how", ["good", "twice"])
def test_worker_speaks_as_it_should(shop, tmp_path, how):
    """The liar's own test: without a lie it is believed; one frame too many
    costs it its life and nobody an answer."""
    liar(shop, tmp_path, how)
    results, _ = shop.calls(*[("/order/status", {})] * 3)
    assert {r["code"] for r in results} == {"ok"}


def test_worker_hangs(shop):
    shop.controller("store", timeout=1)
    one = killed(shop, ("/order/neworder", shop.order("c-1")),
                 signal.SIGSTOP)
    assert one["code"] == "network" and one["sent"], one
    assert "no answer before the deadline" in one["text"]
    assert one["attempts"] == 1
