# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""HTTP and TLS for the fake store, and the faults that can be thrown in.

A fault is a dict: action (a key of ACTIONS), path below /rest or "*",
match ({member: value} of the body), skip (calls that go well first), times
(how often it strikes, 0 for ever), effect (whether the call is carried out
behind the fault; each action has its own default), and what the action
takes: code, headers, text, seconds, location.
"""

import collections
import http.server
import json
import re
import socket
import ssl
import struct
import threading
import time

MAX_BODY = 4 << 20
HTML = "<html><head><title>%s</title></head><body>%s</body></html>\r\n"

# action -> is the call carried out all the same?
ACTIONS = {
    "status": False,        # HTTP code (500) with an HTML body
    "html": False,          # HTTP 200 with an HTML body
    "error": False,         # application error: text
    "drop": False,          # connection closed without an answer
    "reset": False,         # the same with a TCP reset
    "lost": True,           # carried out, connection closed, no answer
    "hang": True,           # carried out, silence for seconds, then closed
    "redirect": False,      # 302 to location
    "latency": True,        # a late answer
    "truncate": True,       # half of the promised bytes
    "cut": True,            # half of the JSON text as if it were all
    "empty": True,          # no body
    "bare": True,           # {} without any envelope
    "text": True,           # the text given, HTTP 200
    "huge": True,           # a body of 3 MiB
    "deep": True,           # arrays 200 deep
    "twice": True,          # a member twice in the outer object
    "utf8": True,           # bytes that are not UTF-8
}
_TAKES = {"action", "path", "match", "skip", "times", "effect", "code",
          "headers", "text", "seconds", "location"}


class Faults:
    """The faults in force, first match strikes."""

    def __init__(self):
        self.rules = []
        self.lock = threading.Lock()

    def set(self, rules, paths):
        """paths: what a rule's path may be, beside "*"."""
        for rule in rules:
            if rule.get("path", "*") not in ("*", *paths):
                raise KeyError("no call %s" % rule["path"])
            if rule.get("action") not in ACTIONS:
                raise KeyError("no action %s" % rule.get("action"))
            if set(rule) - _TAKES:
                raise KeyError("a fault takes no %s"
                               % sorted(set(rule) - _TAKES))
        with self.lock:
            self.rules = [dict(r, seen=0, struck=0) for r in rules]

    def pick(self, path, body):
        with self.lock:
            for rule in self.rules:
                if rule.get("path", "*") not in ("*", path):
                    continue
                if not _matches(rule.get("match") or {}, body):
                    continue
                times = rule.get("times", 1)
                if times and rule["struck"] >= times:
                    continue
                rule["seen"] += 1
                if rule["seen"] <= rule.get("skip", 0):
                    continue
                rule["struck"] += 1
                return rule
        return None


def _matches(wanted, body):
    if wanted and not isinstance(body, dict):
        return False
    return all(str(body.get(k)) == str(v) for k, v in wanted.items())


class Log:
    """What came in, and what was wrong with it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.clear()
        self.in_flight = 0

    def clear(self):
        with self.lock:
            self.requests = collections.deque(maxlen=200000)
            self.violations = []
            self.count = collections.Counter()
            self.number = self.peak = self.connections = 0

    def begin(self, entry):
        """The entry is in the log at once and filled in later."""
        with self.lock:
            self.number += 1
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            self.count[entry["path"]] += 1
            entry["number"] = self.number
            self.requests.append(entry)
            return self.number

    def end(self):
        with self.lock:
            self.in_flight -= 1

    def blame(self, number, path, found):
        with self.lock:
            self.violations.extend(
                dict(entry, request=number, path=path) for entry in found)

    def stats(self):
        with self.lock:
            return {"requests": self.number, "paths": dict(self.count),
                    "peak_in_flight": self.peak,
                    "connections": self.connections}


def _pairs(duplicates):
    def hook(pairs):
        out = {}
        for name, value in pairs:
            if name in out:
                duplicates.append(name)
            out[name] = value
        return out
    return hook


def parse(data):
    """(value, names that were there twice); ValueError."""
    duplicates = []
    return json.loads(data.decode("utf-8"), object_pairs_hook=_pairs(
        duplicates)), duplicates


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection.  self.server.store is the Store of sslstore.py."""

    protocol_version = "HTTP/1.1"
    server_version = "nginx"
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = 120
    counted = False

    def leave(self):
        """The call is over; said before the peer can know it."""
        if self.counted:
            self.counted = False
            self.server.store.log.end()

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        log = self.server.store.log
        with log.lock:
            log.connections += 1

    def body(self):
        """The body, or None when an error was sent."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.fail(411)
            return None
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            self.fail(413)
            return None
        return self.rfile.read(int(length))

    def raw(self, code, body, kind, headers=None, length=None):
        self.leave()
        reason = self.responses.get(code, ("Unknown",))[0]
        head = ["HTTP/1.1 %d %s" % (code, reason),
                "Date: " + self.date_time_string(),
                "Content-Type: " + kind,
                "Content-Length: %d" % (len(body) if length is None
                                        else length)]
        head += ["%s: %s" % item for item in (headers or {}).items()]
        if self.close_connection:
            head.append("Connection: close")
        self.wfile.write(("\r\n".join(head) + "\r\n\r\n").encode("latin-1")
                         + body)

    def send_text(self, text, code=200):
        self.raw(code, text.encode(), "application/json; charset=utf-8")

    def fail(self, code, headers=None):
        self.close_connection = True
        text = self.responses.get(code, ("Error",))[0]
        self.raw(code, (HTML % (text, text)).encode(), "text/html", headers)

    def abort(self, reset=False):
        """Go without an answer."""
        self.leave()
        self.close_connection = True
        link = self.connection
        if reset:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
        else:
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        link.close()

    def do_GET(self):
        self.route("GET")

    def do_POST(self):
        self.route("POST")

    def do_DELETE(self):
        self.route("DELETE")

    do_PUT = do_HEAD = do_PATCH = do_DELETE

    def route(self, method):
        data = self.body()
        if data is None:
            return
        try:
            if self.path.startswith("/__fake/"):
                self.server.store.http_control(self, method, data)
            else:
                self.call(method, data)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    def call(self, method, data):
        store = self.server.store
        path = self.path
        if len(path) > 1 and path.endswith("/"):
            path = path[:-1]
        entry = {"number": 0, "time": time.time(), "method": method,
                 "path": path, "http": None, "error": None, "fault": None,
                 "body": None, "agent": self.headers.get("User-Agent")}
        number = store.log.begin(entry)
        self.counted = True
        try:
            self.serve(store, number, method, path, data, entry)
        finally:
            self.leave()

    def serve(self, store, number, method, path, data, entry):
        try:
            body, duplicates = parse(data) if data else (None, [])
        except (ValueError, RecursionError):
            body, duplicates = None, None
        entry["body"] = store.hide(body)
        short = path[5:] if path.startswith("/rest/") else path
        store.log.blame(number, short, store.look_at_headers(
            self, method, data))
        if store.latency:
            store.book.stop.wait(store.latency)
        rule = store.faults.pick(short, body)
        entry["fault"] = rule and rule["action"]
        if rule and not rule.get("effect", ACTIONS[rule["action"]]):
            self.strike(store, rule, short, None, entry)
            return
        code, text = store.answer(number, method, path, body, duplicates,
                                  entry)
        entry["http"] = code
        if rule:
            self.strike(store, rule, short, text, entry)
        elif code == 200:
            self.send_text(text)
        else:
            self.fail(code)

    def strike(self, store, rule, path, text, entry):
        action = rule["action"]
        text = text if text is not None else "{}"
        body = text.encode()
        if action in ("drop", "lost", "reset"):
            self.abort(action == "reset")
        elif action == "hang":
            store.book.stop.wait(rule.get("seconds", 60))
            self.abort()
        elif action == "latency":
            store.book.stop.wait(rule.get("seconds", 1))
            self.send_text(text)
        elif action in ("status", "redirect", "html"):
            self._page(rule, entry)
        elif action == "error":
            entry["error"] = rule.get("text", "Unexpected error")
            self.send_text(store.error_text(path, entry["error"]))
        elif action == "truncate":
            self.close_connection = True
            self.raw(200, body[:len(body) // 2], "application/json",
                     length=len(body))
        else:
            self.raw(200, _spoiled(action, body, rule), "application/json")

    def _page(self, rule, entry):
        code = {"redirect": 302, "html": 200}.get(
            rule["action"], rule.get("code", 500))
        headers = dict(rule.get("headers") or {})
        if rule["action"] == "redirect":
            headers["Location"] = rule.get("location", "/")
        entry["http"] = code
        self.fail(code, headers)


def _spoiled(action, body, rule):
    if action == "cut":
        return body[:len(body) // 2]
    if action == "empty":
        return b""
    if action == "bare":
        return b"{}"
    if action == "text":
        return rule.get("text", "null").encode()
    if action == "huge":
        return b'{"Padding": "' + b"x" * (3 << 20) + b'"}'
    if action == "deep":
        return b'{"a":' + b"[" * 200 + b"]" * 200 + b"}"
    if action == "twice":
        return re.sub(rb"\{", rb'{"Same": 1, "Same": 2, ', body, count=1)
    return re.sub(rb"\{", b'{"Bytes": "\xff\xfe", ', body, count=1)


class Server(http.server.ThreadingHTTPServer):
    """A thread a connection; TLS is spoken in that thread."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address, store, context=None):
        self.store = store
        self.context = context
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, Handler)

    def server_bind(self):
        # the parent's asks DNS for a name
        socket.socket.setsockopt(self.socket, socket.SOL_SOCKET,
                                 socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]

    def finish_request(self, request, client_address):
        if self.context is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(30)
        try:
            with self.context.wrap_socket(request, server_side=True) as link:
                super().finish_request(link, client_address)
        except (OSError, ValueError):
            pass

    def handle_error(self, request, client_address):
        import sys
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            super().handle_error(request, client_address)


def context(pem_file):
    out = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    out.minimum_version = ssl.TLSVersion.TLSv1_2
    out.load_cert_chain(pem_file)
    return out
