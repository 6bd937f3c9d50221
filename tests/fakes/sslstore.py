#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A strict, stateful stand-in for The SSL Store's REST API.

By itself:   sslstore.py --port 0 --dns ADDR:PORT --http ADDR:PORT
prints one line of JSON (url, origin, control, ca, issuer, partner_code,
auth_token, pid; url ends in /rest, origin is without) and serves until SIGTERM.  In a test:

    with sslstore.Store(dns=["127.0.0.1:5353"]) as store:
        ... store.url, store.ca, store.control("approve", order=..., ...)

ca is the file to trust for TLS (None without TLS), issuer the root of the
certificates that are sold.  Everything a test can ask or change is a method
of Control, over HTTP as /__fake/<method> with the arguments as a JSON object
(POST) or none (GET).

The parts: sslstore_http the wire and the faults, sslstore_contract the
members of requests, sslstore_calls the calls, sslstore_place reading orders,
sslstore_book the state, sslstore_answer and sslstore_render the answers and
their moods, sslstore_dcv and sslstore_ca the CA, sslstore_products the
catalogue.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import sslstore_book                    # noqa: E402
import sslstore_ca                      # noqa: E402
import sslstore_calls                   # noqa: E402
import sslstore_contract                # noqa: E402
import sslstore_dcv                     # noqa: E402
import sslstore_http                    # noqa: E402
import sslstore_render                  # noqa: E402

PARTNER_CODE = "11112222"
AUTH_TOKEN = "EXAMPLE-AUTH-TOKEN"
NAMES = ("127.0.0.1", "::1", "localhost", "wbapi.thesslstore.com",
         "api.thesslstore.com", "sandbox-wbapi.thesslstore.com")


class Control:
    """What a test may ask and change.  Public methods are the control
    calls; their arguments are those of the JSON object."""

    def __init__(self, store):
        self._store = store
        self._book = store.book

    def _order(self, order):
        found = self._book.find(str(order), "") \
            or self._book.find("", str(order))
        if found is None:
            raise KeyError("no order %s" % order)
        return found

    def state(self):
        """Counts, and what is switched on."""
        store, book = self._store, self._book
        with book.lock:
            majors = {}
            for order in book.orders.values():
                majors[order.major] = majors.get(order.major, 0) + 1
            return {"orders": len(book.orders), "majors": majors,
                    "offset": book.offset, "moods": dict(store.moods),
                    "behaviour": dict(book.behaviour),
                    "latency": store.latency, "callbacks": book.callbacks,
                    "faults": [dict(r) for r in store.faults.rules]}

    def orders(self):
        """Every order, the oldest first."""
        with self._book.lock:
            return [self._book.dump(o) for o in self._book.orders.values()]

    def order(self, order):
        """One order, by the store's number or the caller's id."""
        with self._book.lock:
            return self._book.dump(self._order(order))

    def mails(self):
        """Approver mails that were sent."""
        with self._book.lock:
            return list(self._book.mails)

    def requests(self, path=None):
        """The request log; AuthToken is blotted out."""
        log = self._store.log
        with log.lock:
            return [dict(r) for r in log.requests
                    if path in (None, r["path"], r["path"][5:])]

    def violations(self):
        """Departures from the contract: kind, member, text, path."""
        with self._store.log.lock:
            return list(self._store.log.violations)

    def stats(self):
        """Requests, connections, the most requests at once."""
        return self._store.log.stats()

    def clear(self):
        """Empty the request log, the violations and the figures."""
        self._store.log.clear()
        return True

    def issuer(self):
        """PEM of the root of all certificates sold."""
        return sslstore_ca.pem(self._book.authority.root)

    def approve(self, order, domain=None):
        """The approver said yes: for one domain or all."""
        found = self._order(order)
        if domain is not None and domain not in [d.name
                                                 for d in found.domains]:
            raise KeyError("order %s has no domain %s" % (order, domain))
        self._book.approve(found, domain)
        return self.order(order)

    def vet(self, order):
        """The organisation is vetted."""
        with self._book.lock:
            found = self._order(order)
            found.vetted = True
            self._book.touch(found, "organisation vetted")
            self._book.settle(found)
            return self._book.dump(found)

    def refund(self, order):
        """Approve a refund that was asked for."""
        with self._book.lock:
            found = self._order(order)
            if found.refund != "asked":
                raise KeyError("order %s: no refund was asked for" % order)
            self._book.cancel(found)
            return self._book.dump(found)

    def advance(self, order, state):
        """Put an order into a state: Active, Cancelled, Expired, Revoked,
        Rejected, PENDING_REISSUE ..."""
        found = self._order(order)
        self._book.advance(found, state)
        return self.order(order)

    def expire(self, order, days):
        """Let the order's term end in so many days."""
        with self._book.lock:
            found = self._order(order)
            found.expiry = self._book.now() + days * sslstore_book.DAY
            self._book.touch(found)
            return self._book.dump(found)

    def seed(self, count, **how):
        """Add orders; see Book.seed.  Returns their numbers."""
        return [str(n) for n in self._book.seed(count, **how)]

    def poll(self):
        """One round of the CA's polling, now."""
        self._book.poll()
        return True

    def clock(self, offset):
        """Let the store's clock be so many seconds ahead."""
        self._book.set_offset(offset)
        return self._book.offset

    def latency(self, seconds):
        """Every call takes so much longer."""
        self._store.latency = float(seconds)
        return self._store.latency

    def moods(self, **moods):
        """Change how answers are spelt; without arguments as at first."""
        for name, value in moods.items():
            if value not in sslstore_render.MOODS.get(name, ()):
                raise KeyError("no mood %s=%s" % (name, value))
        now = sslstore_render.defaults() if not moods \
            else dict(self._store.moods, **moods)
        self._store.moods = now
        return now

    def behaviour(self, **behaviour):
        """Change what the store does; without arguments as at first."""
        known = sslstore_book.BEHAVIOUR
        for name in behaviour:
            if name not in known:
                raise KeyError("no behaviour %s" % name)
        with self._book.lock:
            if not behaviour:
                behaviour = {k: v[0] for k, v in known.items()}
            self._book.behaviour.update(behaviour)
            return dict(self._book.behaviour)

    def faults(self, rules=()):
        """The faults in force from now on (see sslstore_http)."""
        self._store.faults.set(
            rules, [*sslstore_contract.CALLS, "/health/status"])
        return len(rules)

    def organisation(self, number, name, status="active"):
        """One more organisation that DigiCert knows."""
        with self._book.lock:
            self._book.organisations.append(sslstore_book.organisation(
                number, name, 990000 + number, status))
        return True

    def reset(self):
        """Everything as at the start, the CA apart."""
        self._book.reset()
        self._book.set_offset(0.0)
        self._store.moods = sslstore_render.defaults()
        self._store.latency = 0.0
        self.faults()
        self._store.log.clear()
        return True


class Store:
    """The server.  start() and stop(), or a with statement."""

    def __init__(self, dns=(), http=None, https=None, http_map=None,
                 bind="127.0.0.1", port=0, tls=True, names=(),
                 poll_interval=1.0, partner_code=PARTNER_CODE,
                 auth_token=AUTH_TOKEN, directory=None, dns_timeout=3.0):
        """poll_interval 0: the CA looks only when it is asked to.
        directory: where ca and issuer are written; else a temporary one
        that stop() removes."""
        self.pair = (partner_code, auth_token)
        self.log = sslstore_http.Log()
        self.faults = sslstore_http.Faults()
        self.moods = sslstore_render.defaults()
        self.latency = 0.0
        self._own_directory = directory is None
        self.directory = pathlib.Path(
            directory or tempfile.mkdtemp(prefix="sslstore-"))
        self.book = sslstore_book.Book(
            sslstore_dcv.Checker(dns, http, https, http_map, dns_timeout),
            sslstore_ca.Authority(), poll_interval)
        self._control = Control(self)
        self.issuer = self._write("issuer.pem", self._control.issuer())
        self.ca = None
        context = self._tls(list(NAMES) + list(names)) if tls else None
        self.server = sslstore_http.Server((bind, port), self, context)
        host, number = self.server.server_address[:2]
        host = "[%s]" % host if ":" in host else host
        self.origin = "%s://%s:%d" % ("https" if tls else "http", host,
                                      number)
        self.url = self.origin + "/rest"
        self._threads = []

    def _write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def _tls(self, names):
        authority = sslstore_ca.TlsAuthority()
        self.ca = self._write("ca.pem", sslstore_ca.pem(authority.root))
        secret = self._write("server.pem", authority.server_pem(names))
        try:
            return sslstore_http.context(secret)
        finally:
            os.unlink(secret)

    def start(self):
        jobs = [lambda: self.server.serve_forever(poll_interval=0.2)]
        if self.book.poll_interval > 0:
            jobs.append(self.book.run)
        self._threads = [threading.Thread(target=j, daemon=True)
                         for j in jobs]
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self.book.stop.set()
        if self._threads:
            self.server.shutdown()
        self.server.server_close()
        for thread in self._threads:
            thread.join(10)
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # calls

    def hide(self, body):
        """A body for the log: the secret is blotted out."""
        if not isinstance(body, dict):
            return body
        out = dict(body)
        for holder in (out, out.get("AuthRequest")):
            if isinstance(holder, dict) and holder.get("AuthToken"):
                copy = dict(holder, AuthToken="***")
                if holder is out:
                    out = copy
                else:
                    out["AuthRequest"] = copy
        return out

    def look_at_headers(self, handler, method, data):
        """Departures that are not in the body."""
        found = []

        def note(kind, member, text):
            found.append({"kind": kind, "member": member, "text": text})

        headers = handler.headers
        if self.pair[1] in handler.path or any(
                self.pair[1] in value for value in headers.values()):
            note("secret", "AuthToken", "outside of the body")
        if "?" in handler.path:
            note("path", handler.path, "has a query part")
        if method != "POST":
            return found
        kind = headers.get("Content-Type", "").lower().replace(" ", "")
        if kind != "application/json;charset=utf-8":
            note("header", "Content-Type", kind)
        if "application/json" not in headers.get("Accept", ""):
            note("header", "Accept", headers.get("Accept", ""))
        return found

    def answer(self, number, method, path, body, duplicates, entry):
        """(HTTP code, text of the body)"""
        short = path[5:] if path.startswith("/rest/") else None
        if short == "/health/status":
            if method != "GET":
                return 405, ""
            return 200, self._health()
        if short not in sslstore_calls.HANDLERS:
            self.log.blame(number, path, [{
                "kind": "path", "member": path, "text": "no such call"}])
            return 404, ""
        if method != "POST":
            return 405, ""
        if not isinstance(body, dict):
            self.log.blame(number, short, [{
                "kind": "body", "member": "", "text": "no JSON object"}])
            return 400, ""
        document, found, entry["error"] = sslstore_calls.answer(
            self.book, self.moods, self.pair, short, body, duplicates)
        self.log.blame(number, short, found)
        culture = body.get("DateTimeCulture")
        return 200, sslstore_render.Renderer(self.moods, culture).text(
            document)

    def _auth(self, **more):
        return dict({"isError": False, "Message": [], "ReplayToken": None,
                     "Timestamp": sslstore_render.timestamp(self.book.now()),
                     "InvokingPartnerCode": self.pair[0]}, **more)

    def _health(self):
        return sslstore_render.Renderer(self.moods).text(self._auth())

    def error_text(self, path, text):
        """An application error in the envelope of a call."""
        if path not in sslstore_contract.CALLS:
            return json.dumps(self._auth(isError=True, Message=[text]))
        return sslstore_render.Renderer(self.moods).text(
            sslstore_calls.error_answer(path, self.moods, self._auth(),
                                        text))

    # control

    def control(self, name, **arguments):
        """A control call; see Control."""
        method = None if name.startswith("_") \
            else getattr(self._control, name, None)
        if method is None:
            raise KeyError("no control %s" % name)
        return method(**arguments)

    def http_control(self, handler, method, data):
        name = handler.path[len("/__fake/"):].rstrip("/")
        try:
            arguments = json.loads(data) if data else {}
            if not isinstance(arguments, dict):
                raise ValueError("the body is not an object")
            code, out = 200, self.control(name, **arguments)
        except (KeyError, TypeError, ValueError) as error:
            code, out = 400, {"error": str(error)}
        handler.send_text(json.dumps(out), code)


def _options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="no TLS")
    parser.add_argument("--name", action="append", default=[],
                        help="one more name or address in the certificate")
    parser.add_argument("--dns", action="append", default=[],
                        metavar="ADDR:PORT")
    parser.add_argument("--dns-timeout", type=float, default=3.0)
    parser.add_argument("--http", metavar="ADDR:PORT")
    parser.add_argument("--https", metavar="ADDR:PORT")
    parser.add_argument("--http-map", action="append", default=[],
                        metavar="SCHEME://NAME=ADDR:PORT")
    parser.add_argument("--poll", type=float, default=1.0,
                        help="seconds between the CA's rounds, 0 for none")
    parser.add_argument("--partner-code", default=PARTNER_CODE)
    parser.add_argument("--auth-token", default=AUTH_TOKEN)
    parser.add_argument("--directory", help="where ca and issuer are put")
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--seed", type=int, default=0,
                        help="active orders to begin with")
    parser.add_argument("--mood", action="append", default=[],
                        metavar="NAME=VALUE")
    parser.add_argument("--behaviour", action="append", default=[],
                        metavar="NAME=JSON")
    return parser


def _split(pairs):
    return dict(pair.split("=", 1) for pair in pairs)


def main():
    parser = _options()
    given = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    store = Store(
        given.dns, given.http, given.https, _split(given.http_map),
        given.bind, given.port, not given.plain, given.name, given.poll,
        given.partner_code, given.auth_token, given.directory,
        given.dns_timeout)
    try:
        store.control("latency", seconds=given.latency_ms / 1000)
        if given.mood:
            store.control("moods", **_split(given.mood))
        if given.behaviour:
            store.control("behaviour", **{
                k: json.loads(v) for k, v in _split(given.behaviour).items()})
        if given.seed:
            store.control("seed", count=given.seed)
    except (KeyError, ValueError) as error:
        store.stop()
        parser.error(str(error))
    store.start()
    print(json.dumps({
        "url": store.url, "origin": store.origin,
        "control": store.origin + "/__fake/",
        "ca": store.ca, "issuer": store.issuer,
        "partner_code": given.partner_code, "auth_token": given.auth_token,
        "pid": os.getpid()}), flush=True)
    stop.wait()
    store.stop()


if __name__ == "__main__":
    main()
