# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The core of the fakes: HTTPS, request log, fault script, DNS, command line.

In a test (put tests/ on sys.path first):

    from fakes import base, cloudflare
    with cloudflare.Fake() as fake:          # "standard" seed: see seeds.py
        fake.url, fake.ca_file               # endpoint and ca-file options
        fake.dns                             # ("127.0.0.1", port) for --server
        fake.credentials                     # option name -> value
        fake.add_zone("a.example")
        fake.add_record("a.example", "_acme-challenge", "TXT", "old", ttl=300)
        fake.values("_acme-challenge.a.example", "TXT")     # ["old"]
        fake.calls("POST", "dns_records")    # logged requests that match
        fake.dns_server.log                  # (address, name, type) asked
        fake.fault("status", status=429, retry_after=2, method="POST")

By itself: python3 tests/fakes VENDOR [--help] prints one JSON line (url, ca,
dns, credentials, schema, pid) and runs until SIGTERM.  The same is then had by
URL, without credentials:

    GET  /__fake/state   zones with their record sets, settings
    GET  /__fake/log     requests so far          DELETE empties it
    GET  /__fake/faults  faults that are left     DELETE drops them
    POST /__fake/faults  {"kind": ..., ...} or an array, as in fault()
    POST /__fake/zones   {"name": ..., <vendor's members>}
    POST /__fake/records {"zone":, "name":, "type":, "values": [...], "ttl":}
    POST /__fake/set     {"latency": 0.1, "limited": false, ...}

Settings (attributes, /__fake/set, or --set NAME=JSON): latency (seconds before
every answer), limited (keep the vendor's rate limits; default true),
clock_offset (seconds this service's clock is ahead), dns_delay (seconds from a
write to its being served, or {"127.0.0.1": 0, "127.0.0.2": 3}), and what the
vendor's own file lists.

fault(kind, count=1, skip=0, method=None, path=None, body=None, **details)
strikes `count` requests (None: all) that match (method equal; path and body
by re.search) after letting `skip` of them through.  Kinds:

    status      answer `status` with `text` or `value` (JSON), `headers`,
                `retry_after` (seconds, or "date:N": N seconds on as a date)
    throttle    the vendor's own way to say 'too fast'; `retry_after` seconds
    html        an HTML page, status 200 or `status`
    empty       200 with no body
    json        200 (or `status`) with the JSON `value`, a wrong shape
    oversized   200 and `size` bytes (2 MiB) of valid JSON text
    redirect    `status` (302) to `to`
    cut-before  drop the connection, nothing done
    cut-after   do the work, then drop the connection: the answer is lost
    truncated   do the work, send half of the body, drop the connection
    gzip        do the work, answer gzip-coded though nobody asked
    delay       do the work, answer after `seconds`
    stall       send nothing until the client leaves (at most `seconds`, 600)
    stall-body  do the work, send half of the body, then stall

`work=True` does the work before status, throttle, html, empty, json,
oversized and redirect too (a 500 after the write).  Vendors add their own.
"""
import argparse
import collections
import email.utils
import gzip
import http
import http.server
import json
import os
import pathlib
import re
import secrets
import select
import signal
import socket
import sys
import threading
import time
import traceback
import urllib.parse

import jsonschema

from . import dns_server, seeds
from .authority import Authority

MAX_BODY = 4 * 1024 * 1024


def secret(length):
    """A random secret that no option parser takes for an option."""
    return "s" + secrets.token_urlsafe(length)[:length - 1]


def shared_spec(name):
    """Parsed vendor data ../shared/specs/NAME, or None where it is absent."""
    root = pathlib.Path(__file__).resolve().parents[2]
    shared = pathlib.Path(os.environ.get("PLACARD_SHARED",
                                         root.parent / "shared"))
    try:
        return json.loads((shared / "specs" / name).read_text())
    except OSError:
        return None


def schema_error(document, name, value):
    """What is wrong with value by a schema of an OpenAPI document, or None."""
    def type_of(validator, types, instance, schema):
        if instance is not None or not schema.get("nullable"):
            yield from jsonschema.Draft4Validator.VALIDATORS["type"](
                validator, types, instance, schema)

    checker = jsonschema.validators.extend(
        jsonschema.Draft4Validator, {"type": type_of})(
            {"$ref": name}, resolver=jsonschema.RefResolver("", document))
    error = next(checker.iter_errors(value), None)
    if error is None:
        return None
    return ".".join(["body", *map(str, error.path)]) + ": " + error.message


class Request:
    """One request as it came; query and form are lists of pairs."""

    def __init__(self, method, target, headers, body, connection):
        self.method, self.target = method, target
        self.headers, self.body = headers, body
        self.connection = connection
        self.time = time.time()
        self.status = None
        self.fault = None
        self.raw_path, _, self.raw_query = target.partition("?")
        self.path = urllib.parse.unquote(self.raw_path)
        self.query = urllib.parse.parse_qsl(self.raw_query,
                                            keep_blank_values=True)

    def header(self, name):
        """The header's value, or None; more than one joined by commas."""
        found = self.headers.get_all(name)
        return None if found is None else ",".join(found)

    def arg(self, name, default=None):
        """The last query argument of that name."""
        return dict(self.query).get(name, default)

    def content_type(self):
        return (self.header("Content-Type") or "").split(";")[0].lower()

    def json(self):
        """The body as JSON; duplicate members are a ValueError."""
        def members(pairs):
            if len({name for name, _ in pairs}) != len(pairs):
                raise ValueError("duplicate member")
            return dict(pairs)
        return json.loads(self.body.decode("utf-8"),
                          object_pairs_hook=members)

    def dump(self):
        return {"method": self.method, "path": self.target,
                "headers": list(self.headers.items()),
                "body": self.body.decode("utf-8", "backslashreplace"),
                "time": self.time, "connection": self.connection,
                "status": self.status, "fault": self.fault}


class Response(Exception):
    """An answer; raised where a refusal ends the work."""

    def __init__(self, status, body=b"", headers=None, kind=None):
        super().__init__(status)
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = dict(headers or {})
        if kind:
            self.headers.setdefault("Content-Type", kind)


def answer(value, status=200, headers=None):
    """A JSON answer."""
    return Response(status, json.dumps(value), headers,
                    "application/json; charset=utf-8")


class Fault:
    """One line of the fault script; see the top of this file."""

    KINDS = {"status", "throttle", "html", "empty", "json", "oversized",
             "redirect", "cut-before", "cut-after", "truncated", "gzip",
             "delay", "stall", "stall-body"}
    DETAILS = {"status", "text", "value", "headers", "retry_after", "to",
               "size", "seconds", "code"}
    WORKING = {"cut-after", "truncated", "gzip", "delay", "stall-body"}

    def __init__(self, kind, count=1, skip=0, method=None, path=None,
                 body=None, work=False, **details):
        self.kind, self.count, self.skip = kind, count, skip
        self.method, self.path, self.body = method, path, body
        self.work = work or kind in self.WORKING
        self.details = details
        unknown = set(details) - self.DETAILS
        if unknown or (kind == "throttle" and not isinstance(
                details.get("retry_after", 1), (int, float))):
            raise ValueError(f"fault {kind}: {unknown or 'retry_after'}")

    def strikes(self, request):
        """Whether this fault is for that request; counts it."""
        body = request.body.decode("utf-8", "replace")
        if (self.count == 0
                or self.method not in (None, request.method)
                or not re.search(self.path or "", request.target)
                or not re.search(self.body or "", body)):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.count is not None:
            self.count -= 1
        return True


class Zone:
    """A zone: its name, the vendor's facts of it, and its records."""

    def __init__(self, zone_id, name, **info):
        self.id, self.name, self.info = zone_id, name, info
        self.records = []
        self.serial = 2026010101
        self.served = info.pop("served", True)

    def full(self, relative):
        """Absolute name (no final dot) of a relative one; @ and "" apex."""
        return self.name if relative in ("", "@") else (
            f"{relative}.{self.name}".lower())

    def relative(self, full, apex="@"):
        """The other way round; None if not in this zone."""
        full = full.lower().rstrip(".")
        if full == self.name:
            return apex
        if full.endswith("." + self.name):
            return full[:-len(self.name) - 1]
        return None


class Bucket:
    """At most `limit` calls for each key in any `window` seconds."""

    def __init__(self, limit, window):
        self.limit, self.window = limit, window
        self.calls = collections.defaultdict(collections.deque)

    def wait(self, key):
        """0 and the call is counted, or the seconds until there is room."""
        now = time.monotonic()
        calls = self.calls[key]
        while calls and calls[0] <= now - self.window:
            calls.popleft()
        if len(calls) >= self.limit:
            return calls[0] + self.window - now
        calls.append(now)
        return 0.0


class Refill:
    """A token bucket a key: `depth` at once, `rate` a second after that."""

    def __init__(self, depth, rate):
        self.depth, self.rate = depth, rate
        self.levels = {}

    def wait(self, key):
        """As Bucket.wait()."""
        now = time.monotonic()
        level, then = self.levels.get(key, (self.depth, now))
        level = min(self.depth, level + (now - then) * self.rate)
        taken = level >= 1
        self.levels[key] = (level - 1 if taken else level, now)
        return 0.0 if taken else (1 - level) / self.rate


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection; hands each request to the fake."""

    protocol_version = "HTTP/1.1"
    fake = None

    def setup(self):
        super().setup()
        self.connection_id = self.fake.next_connection()

    def log_message(self, *args):
        pass

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b""
            while True:
                size = int(self.rfile.readline(32).split(b";")[0], 16)
                body += self.rfile.read(size)
                self.rfile.readline(8)
                if size == 0 or len(body) > MAX_BODY:
                    return body
        length = int(self.headers.get("Content-Length", "0"))
        if not 0 <= length <= MAX_BODY:
            raise ValueError("body too large")
        return self.rfile.read(length)

    def handle_any(self):
        request = Request(self.command, self.path, self.headers,
                          self.read_body(), self.connection_id)
        if request.path.startswith("/__fake/"):
            self.send(self.fake.control(request))
            return
        fault = self.fake.admit(request)
        reply = self.fake.reply(request, fault)
        request.status = reply.status if reply else None
        if reply is None:
            if fault.kind == "stall":
                self.fake.pause(fault.details.get("seconds", 600),
                                self.connection)
            self.close_connection = True
        elif fault and fault.kind in ("truncated", "stall-body"):
            self.send(reply, len(reply.body) // 2)
            if fault.kind == "stall-body":
                self.fake.pause(fault.details.get("seconds", 600),
                                self.connection)
            self.close_connection = True
        else:
            self.send(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any
    do_HEAD = do_OPTIONS = handle_any

    def send(self, reply, cut=None):
        headers = {"Date": email.utils.formatdate(self.fake.now(),
                                                  usegmt=True),
                   "Content-Length": str(len(reply.body))}
        if reply.status == 204:
            del headers["Content-Length"]
        headers.update(reply.headers)
        try:
            phrase = http.HTTPStatus(reply.status).phrase
        except ValueError:
            phrase = "Unknown"
        head = f"HTTP/1.1 {reply.status} {phrase}\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in headers.items())
        body = b"" if self.command == "HEAD" else reply.body[:cut]
        with self.fake.lock:
            self.fake.octets += len(head) + 2 + len(body)
        self.wfile.write(head.encode("latin-1") + b"\r\n" + body)


class BaseFake:
    """What all fakes have; a vendor's Fake fills in the rest.

    A vendor defines: hosts (real names), name_servers(zone), handle(request),
    too_fast(seconds), put_values(zone, name, rtype, values, ttl),
    rrsets(zone), credentials, and may override zone_info() and seed().
    """

    vendor = ""
    hosts = ()
    schema = None
    limited = True
    latency = 0.0
    clock_offset = 0.0
    control_settings = {"latency", "limited", "clock_offset", "dns_delay"}
    extra_faults = set()

    def __init__(self, seed="standard", bulk=0, tls=True, port=0,
                 addresses=("127.0.0.1",), dns_port=0,
                 dns_addresses=("127.0.0.1",), ca=None, cert_hosts=None,
                 cert_days=30, **settings):
        self.lock = threading.RLock()
        self.zones, self.log, self.faults = [], [], []
        self.octets = 0                 # sent, headers too
        self._connections, self._count = set(), 0
        self._closing = threading.Event()
        self.ca = ca or Authority()
        self._own_ca = ca is None
        self.tls = tls
        self._context = self.ca.context(
            cert_hosts or [*self.hosts, "localhost", "127.0.0.1", "::1"],
            cert_days) if tls else None
        self._listeners = []
        self.port = self._listen(addresses, port)
        host = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self.ca_file = self.ca.ca_file if tls else None
        self.dns_server = dns_server.DnsServer(dns_addresses, dns_port)
        self.dns = (self.dns_server.addresses[0], self.dns_server.port)
        self.credentials = {}
        self.start()
        self.configure(settings)
        with self.lock:
            seeds.plant(self, seed, bulk)

    # What a vendor fills in

    def start(self):
        """Set up the vendor's own state, before seeding."""

    def handle(self, request):
        raise NotImplementedError

    def too_fast(self, seconds):
        raise NotImplementedError

    def rrsets(self, zone):
        """(owner, type, ttl, values) of a zone; values as in dns_server."""
        raise NotImplementedError

    def put_values(self, zone, name, rtype, values, ttl):
        raise NotImplementedError

    def name_servers(self, zone):
        raise NotImplementedError

    def zone_info(self, name, info):
        """Members that a new zone of that name has beside those given."""
        return info

    def new_zone_id(self):
        return f"zone-{len(self.zones) + 1}"

    def seed_oddities(self):
        """Zones of the kinds that only this vendor knows."""

    # State

    def add_zone(self, name, **info):
        with self.lock:
            zone = Zone(info.pop("id", None) or self.new_zone_id(),
                        name.lower().rstrip("."),
                        **self.zone_info(name, info))
            self.zones.append(zone)
            self.touch(zone)
            return zone

    def zone(self, name, **info):
        """The first zone of that name, or Zone given, that has those facts."""
        if isinstance(name, Zone):
            return name
        for zone in self.zones:
            if zone.name == name and info.items() <= zone.info.items():
                return zone
        raise KeyError(name)

    def add_record(self, zone, name, rtype, *values, ttl=3600):
        """Put values (text, TXT raw) beside those at name ("@": apex)."""
        with self.lock:
            zone = self.zone(zone)
            self.put_values(zone, zone.full(name), rtype, list(values), ttl)
            self.touch(zone)

    def values(self, name, rtype, zone=None):
        """Values at a full name in all zones (or one), TXT joined, sorted."""
        name, found = name.lower().rstrip("."), []
        with self.lock:
            for one in [self.zone(zone)] if zone else self.zones:
                for owner, kind, _, values in self.rrsets(one):
                    if (owner, kind) == (name, rtype):
                        found += ["".join(v) if kind == "TXT" else v
                                  for v in values]
        return sorted(found)

    def touch(self, zone):
        """A zone was written: give its new picture to the DNS server."""
        zone.serial += 1
        if zone.served:
            self.dns_server.publish(id(zone), dns_server.Picture(
                zone.name, zone.serial, self.name_servers(zone),
                list(self.rrsets(zone))))

    def state(self):
        with self.lock:
            return {"vendor": self.vendor, "schema": bool(self.schema),
                    "settings": {name: getattr(self, name)
                                 for name in sorted(self.control_settings)},
                    "zones": [{"id": z.id, "name": z.name, "info": z.info,
                               "served": z.served, "sets": [
                                   {"name": n, "type": t, "ttl": ttl,
                                    "values": ["".join(v) if t == "TXT" else v
                                               for v in values]}
                                   for n, t, ttl, values in self.rrsets(z)]}
                              for z in self.zones]}

    def now(self):
        """This service's own idea of the time."""
        return time.time() + self.clock_offset

    @property
    def dns_delay(self):
        return self.dns_server.delays

    @dns_delay.setter
    def dns_delay(self, value):
        self.dns_server.delays = (dict(value) if isinstance(value, dict)
                                  else {"*": float(value)})

    def configure(self, settings):
        for name, value in settings.items():
            if name not in self.control_settings:
                raise ValueError(f"{self.vendor}: no setting {name}")
            setattr(self, name, value)

    # Log and faults

    def calls(self, method=None, path=""):
        """Logged requests of that method whose target matches path."""
        with self.lock:
            return [r for r in self.log if method in (None, r.method)
                    and re.search(path, r.target)]

    def fault(self, kind, **details):
        if kind not in Fault.KINDS | self.extra_faults:
            raise ValueError(f"no fault {kind}")
        with self.lock:
            self.faults.append(Fault(kind, **details))

    def next_connection(self):
        with self.lock:
            self._count += 1
            return self._count

    def admit(self, request):
        """Log a request and find the fault that strikes it, if any."""
        with self.lock:
            self.log.append(request)
            fault = next((f for f in self.faults if f.strikes(request)), None)
            request.fault = fault.kind if fault else None
            return fault

    def work(self, request):
        with self.lock:
            try:
                return self.handle(request)
            except Response as refusal:
                return refusal
            except Exception:
                traceback.print_exc()
                return Response(599, "this fake is broken: see its stderr")

    def reply(self, request, fault):
        """The answer, or None to drop the connection."""
        if self.latency:
            self._closing.wait(self.latency)
        done = None if fault and not fault.work else self.work(request)
        if not fault:
            return done
        if fault.kind in ("cut-before", "cut-after", "stall"):
            return None
        if fault.kind in ("truncated", "stall-body"):
            return done
        if fault.kind == "delay":
            self._closing.wait(fault.details.get("seconds", 1))
            return done
        if fault.kind == "gzip":
            return Response(done.status, gzip.compress(done.body),
                            {**done.headers, "Content-Encoding": "gzip"})
        return self.spoil(fault.kind, **fault.details)

    def spoil(self, kind, status=None, text="", value=None, headers=None,
              retry_after=None, to="https://elsewhere.invalid/",
              size=2 * 1024 * 1024, **details):
        """The wrong answer of a fault that does not need the right one."""
        headers = dict(headers or {})
        if kind == "throttle":
            return self.too_fast(1 if retry_after is None else retry_after)
        if kind in self.extra_faults:
            return self.vendor_fault(kind, **details,
                                     **({"text": text} if text else {}))
        if isinstance(retry_after, str) and retry_after.startswith("date:"):
            retry_after = email.utils.formatdate(
                self.now() + float(retry_after[5:]), usegmt=True)
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        if kind == "html":
            return Response(status or 200, "<html><body>Bad gateway"
                            "</body></html>", headers, "text/html")
        if kind == "empty":
            return Response(status or 200, b"", headers)
        if kind == "redirect":
            headers["Location"] = to
            return Response(status or 302, b"", headers)
        if kind == "oversized":
            body = '{"pad":"' + "x" * size + '"}'
            return Response(status or 200, body, headers, "application/json")
        if kind == "json" or value is not None:
            return answer(value, status or 200, headers)
        return Response(status or 500, text, headers, "text/plain")

    def vendor_fault(self, kind, **details):
        raise NotImplementedError

    def limit(self, bucket, key):
        """Refuse the request as the vendor does when key is too fast."""
        if self.limited:
            seconds = bucket.wait(key)
            if seconds > 0:
                raise self.too_fast(seconds)

    # Control by URL

    def control(self, request):
        what = request.path[len("/__fake/"):]
        try:
            given = request.json() if request.body else None
            with self.lock:
                return answer(self._control(request.method, what, given))
        except (ValueError, KeyError, TypeError) as error:
            return answer({"error": repr(error)}, 400)

    def _control(self, method, what, given):
        if (method, what) == ("GET", "state"):
            return self.state()
        if (method, what) == ("GET", "log"):
            return [r.dump() for r in self.log]
        if (method, what) == ("DELETE", "log"):
            self.log.clear()
        elif (method, what) == ("GET", "faults"):
            return [vars(f) for f in self.faults if f.count != 0]
        elif (method, what) == ("DELETE", "faults"):
            self.faults.clear()
        elif (method, what) == ("POST", "faults"):
            for one in given if isinstance(given, list) else [given]:
                self.fault(**one)
        elif (method, what) == ("POST", "zones"):
            return {"id": self.add_zone(**given).id}
        elif (method, what) == ("POST", "records"):
            self.add_record(given["zone"], given["name"], given["type"],
                            *given["values"], ttl=given.get("ttl", 3600))
        elif (method, what) == ("POST", "set"):
            self.configure(given)
        else:
            raise ValueError(f"no {method} {what}")
        return {"ok": True}

    # Sockets

    def _listen(self, addresses, port):
        for _ in range(50):
            wanted, listeners = port, []
            try:
                for address in addresses:
                    family = (socket.AF_INET6 if ":" in address
                              else socket.AF_INET)
                    listener = socket.create_server(
                        (address, wanted), family=family, backlog=128)
                    listeners.append(listener)
                    wanted = listener.getsockname()[1]
            except OSError:
                for listener in listeners:
                    listener.close()
                if port:
                    raise
                continue
            self._listeners = listeners
            for listener in listeners:
                threading.Thread(target=self._accept, args=(listener,),
                                 daemon=True).start()
            return wanted
        raise OSError("no port is free on all addresses")

    def _accept(self, listener):
        while True:
            try:
                sock, peer = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connected, args=(sock, peer),
                             daemon=True).start()

    def _connected(self, sock, peer):
        self._connections.add(sock)
        raw = sock
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(120)
            if self._context:
                sock = self._context.wrap_socket(sock, server_side=True)
                self._connections.add(sock)
            type("Bound", (Handler,), {"fake": self})(sock, peer, self)
        except (OSError, ValueError):
            pass
        finally:
            self._connections -= {sock, raw}
            self._drop(sock)

    def open_connections(self):
        return len(self._connections)

    def pause(self, seconds, sock):
        """Wait until the time is over, the client left, or we close."""
        left = select.poll()
        left.register(sock.fileno(), select.POLLRDHUP)
        end = time.monotonic() + seconds
        while (time.monotonic() < end and not self._closing.is_set()
               and not left.poll(200)):
            pass

    @staticmethod
    def _drop(sock):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        sock.close()

    def close(self):
        self._closing.set()
        for sock in self._listeners + list(self._connections):
            self._drop(sock)
        self.dns_server.close()
        if self._own_ca:
            self.ca.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def options(fake_class):
    parser = argparse.ArgumentParser(
        prog=f"python3 tests/fakes {fake_class.vendor}",
        description="Runs until SIGTERM; prints one JSON line when ready.")
    parser.add_argument("--address", action="append", metavar="ADDR")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--http", action="store_true", help="no TLS")
    parser.add_argument("--dns-address", action="append", metavar="ADDR")
    parser.add_argument("--dns-port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--seed", choices=seeds.SEEDS, default="standard")
    parser.add_argument("--bulk", type=int, default=0,
                        help="add that many zones")
    parser.add_argument("--zone", action="append", default=[])
    parser.add_argument("--set", action="append", default=[],
                        metavar="NAME=JSON", help="a setting")
    return parser


def main(fake_class, argv):
    """Run one fake by itself."""
    args = options(fake_class).parse_args(argv)
    settings = {"latency": args.latency}
    for item in args.set:
        name, _, value = item.partition("=")
        settings[name] = json.loads(value)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with fake_class(seed=args.seed, bulk=args.bulk, tls=not args.http,
                    addresses=args.address or ["127.0.0.1"], port=args.port,
                    dns_addresses=args.dns_address or ["127.0.0.1"],
                    dns_port=args.dns_port, **settings) as fake:
        for name in args.zone:
            fake.add_zone(name)
        json.dump({"vendor": fake.vendor, "url": fake.url, "ca": fake.ca_file,
                   "dns": list(fake.dns), "credentials": fake.credentials,
                   "schema": bool(fake.schema), "pid": os.getpid()},
                  sys.stdout)
        print(flush=True)
        stop.wait()
    return 0
