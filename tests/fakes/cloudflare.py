# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A stand-in of Cloudflare's API v4: zones, DNS records, batch, tokens.

Settings beside base.py's: per_zone_limit (records in one batch, 200),
quoted_equal (a quoted TXT value is identical to the unquoted one; unknown of
the real service, default true), has_batch (false: the endpoint is unknown),
error_status (403; the status of code 10000, 401 is seen too).

add_zone() members: status, type, account (an id), served, name_servers.
Credentials: email with api-key (all zones of both accounts), api-token (all),
and in fake.tokens: "reader" (no DNS edit), "scoped" (example.com only),
"disabled", "blocked" (source address not allowed).
"""
import hashlib
import ipaddress
import re
import secrets
import time

from . import base
from .base import Response, answer

PREFIX = "/client/v4"
TYPES = {"A", "AAAA", "CNAME", "TXT", "MX", "NS", "CAA", "SRV", "PTR"}
ADDRESS_LIKE = {"A", "AAAA", "CNAME"}
HOSTNAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*"
                      r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.?", re.I)
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def refusal(status, *errors, headers=None):
    """An envelope that says no; errors are (code, message[, chain])."""
    listed = []
    for code, message, *chain in errors:
        listed.append({"code": code, "message": message})
        if chain:
            listed[-1]["error_chain"] = [
                {"code": c, "message": m} for c, m in chain]
    return answer({"success": False, "errors": listed, "messages": [],
                   "result": None}, status, headers)


def invalid(code, message):
    return refusal(400, (1004, "DNS Validation Error", (code, message)))


def strings(content):
    """The character strings of TXT content, quoted or not."""
    if len(content) > 1 and content[0] == content[-1] == '"':
        found = QUOTED.findall(content)
        if QUOTED.sub("", content).strip():
            raise invalid(9207, "Invalid TXT record content.")
        parts = [re.sub(r"\\(\d{3}|.)", unescape, s[1:-1]) for s in found]
    else:
        parts = [content]
    raw = [p.encode("utf-8") for p in parts]
    return tuple(chunk.decode("utf-8", "replace") for one in raw
                 for chunk in ([one[i:i + 255]
                                for i in range(0, len(one), 255)] or [b""]))


def unescape(match):
    text = match.group(1)
    return chr(int(text)) if text.isdigit() else text


class Fake(base.BaseFake):
    vendor = "cloudflare"
    hosts = ("api.cloudflare.com",)
    control_settings = base.BaseFake.control_settings | {
        "per_zone_limit", "quoted_equal", "has_batch", "error_status"}
    per_zone_limit = 200
    quoted_equal = True
    has_batch = True
    error_status = 403

    def start(self):
        self.schema = base.shared_spec(
            "cloudflare/openapi-zones-dns-records.json")
        self.by_user = base.Bucket(1200, 300)
        self.by_second = base.Bucket(200, 1)
        self.email, self.key = "ops@example.com", secrets.token_hex(18) + "0"
        everything = {"zones": None, "edit": True, "status": "active"}
        self.tokens = {name: {"value": base.secret(40),
                              "id": secrets.token_hex(16), **everything}
                       for name in ("full", "reader", "scoped", "disabled",
                                    "blocked")}
        self.tokens["reader"]["edit"] = False
        self.tokens["scoped"]["zones"] = ["example.com"]
        self.tokens["disabled"]["status"] = "disabled"
        self.tokens["blocked"]["blocked"] = True
        self.credentials = {"email": self.email, "api-key": self.key,
                            "api-token": self.tokens["full"]["value"]}

    # Zones

    def new_zone_id(self):
        return secrets.token_hex(16)

    def zone_info(self, name, info):
        return {"status": "active", "type": "full",
                "account": "a" * 32, **info}

    def name_servers(self, zone):
        return zone.info.get("name_servers", ["ada.ns.cloudflare.com",
                                              "bob.ns.cloudflare.com"])

    def seed_oddities(self):
        self.add_zone("twice.example", served=False, account="b" * 32,
                      status="pending",
                      name_servers=["eve.ns.cloudflare.com",
                                    "fay.ns.cloudflare.com"])
        self.add_zone("twice.example")
        for account in ("a" * 32, "b" * 32):
            self.add_zone("ambiguous.example", account=account,
                          served=account[0] == "a")
        self.add_zone("pending.example", status="pending", served=False)
        self.add_zone("partial.example", type="partial", served=False)
        self.add_zone("secondary.example", type="secondary")
        self.add_zone("example.com", type="internal", served=False)

    def zone_json(self, zone):
        internal = zone.info["type"] == "internal"
        account = zone.info["account"]
        return {
            "id": zone.id, "name": zone.name, "status": zone.info["status"],
            "paused": False, "type": zone.info["type"], "development_mode": 0,
            "name_servers": [] if internal else self.name_servers(zone),
            "original_name_servers": None, "original_registrar": None,
            "original_dnshost": None, "vanity_name_servers": [],
            "created_on": "2026-01-01T00:00:00.000000Z",
            "modified_on": "2026-01-01T00:00:00.000000Z",
            "activated_on": "2026-01-01T00:00:00.000000Z",
            "meta": {"step": 2, "custom_certificate_quota": 0},
            "owner": {"id": None, "type": "user", "name": None},
            "account": {"id": account, "name": "account " + account[0]},
            "permissions": ["#dns_records:read", "#zone:read"] + (
                ["#dns_records:edit"] if self.may_edit else []),
            "plan": {"id": "0" * 32, "name": "Free Website"}}

    # The way in

    def too_fast(self, seconds):
        return refusal(429, (971, "Please wait and consider throttling your "
                             "request speed"),
                       headers={"Retry-After": str(max(1, round(seconds)))})

    def authenticate(self, request):
        """Find out who asks: sets self.grant."""
        bearer = request.header("Authorization")
        email, key = (request.header("X-Auth-Email"),
                      request.header("X-Auth-Key"))
        if bearer is not None and (email or key):
            raise refusal(400, (6003, "Invalid request headers",
                                (6111, "Invalid format for Authorization "
                                 "header")))
        if bearer is not None:
            self.grant = self.token(bearer)
            return
        if not email or not key:
            raise refusal(400, (9106, "Missing X-Auth-Key, X-Auth-Email or "
                                "Authorization headers"))
        if "@" not in email:
            raise refusal(400, (6003, "Invalid request headers",
                                (6102, "Invalid format for X-Auth-Email "
                                 "header")))
        if not re.fullmatch(r"[0-9a-f]{37}", key):
            raise refusal(400, (6003, "Invalid request headers",
                                (6103, "Invalid format for X-Auth-Key "
                                 "header")))
        if (email.lower(), key) != (self.email, self.key):
            raise refusal(403, (9103, "Unknown X-Auth-Key or X-Auth-Email"))
        self.grant = {"zones": None, "edit": True, "id": "user"}

    def token(self, bearer):
        match = re.fullmatch(r"Bearer ([A-Za-z0-9_-]{40})", bearer)
        if not match:
            raise refusal(400, (6003, "Invalid request headers",
                                (6111, "Invalid format for Authorization "
                                 "header")))
        for token in self.tokens.values():
            if token["value"] == match.group(1):
                if token.get("blocked"):
                    raise refusal(403, (9109, "Cannot use the access token "
                                        "from location: 127.0.0.1"))
                return token
        raise refusal(self.error_status, (10000, "Authentication error"))

    @property
    def may_edit(self):
        return self.grant["edit"]

    def reach(self, zone):
        return self.grant["zones"] is None or zone.name in self.grant["zones"]

    def handle(self, request):
        if not request.raw_path.startswith(PREFIX + "/"):
            raise refusal(404, (7000, "No route for that URI"))
        self.limit(self.by_second, "address")
        self.authenticate(request)
        self.limit(self.by_user, "user")
        parts = request.path[len(PREFIX) + 1:].split("/")
        if parts == ["user", "tokens", "verify"]:
            self.method(request, "GET")
            return self.verify(request)
        if self.grant.get("status", "active") != "active":
            raise refusal(self.error_status, (10000, "Authentication error"))
        if parts == ["zones"]:
            self.method(request, "GET")
            return self.list_zones(request)
        if parts[0] != "zones" or len(parts) > 4:
            raise refusal(404, (7000, "No route for that URI"))
        zone = self.find_zone(parts[1])
        if len(parts) == 2:
            self.method(request, "GET")
            return self.single(self.zone_json(zone))
        if parts[2] != "dns_records":
            raise refusal(404, (7000, "No route for that URI"))
        if len(parts) == 4 and parts[3] == "batch":
            if not self.has_batch:
                raise refusal(404, (7000, "No route for that URI"))
            self.method(request, "POST")
            return self.batch(zone, request)
        if len(parts) == 3:
            self.method(request, "GET", "POST")
            return (self.list_records(zone, request)
                    if request.method == "GET" else self.create(zone, request))
        self.method(request, "GET", "PUT", "PATCH", "DELETE")
        return self.one_record(zone, parts[3], request)

    @staticmethod
    def method(request, *allowed):
        if request.method not in allowed:
            raise refusal(405, (1001, "Method not allowed for this "
                                "authentication scheme"))

    @staticmethod
    def single(result):
        return answer({"success": True, "errors": [], "messages": [],
                       "result": result})

    def verify(self, request):
        if not request.header("Authorization"):
            raise refusal(400, (6003, "Invalid request headers",
                                (6111, "Invalid format for Authorization "
                                 "header")))
        reply = {"id": self.grant["id"], "status": self.grant["status"]}
        return answer({"success": True, "errors": [], "messages": [
            {"code": 10000, "message": "This API Token is valid and "
             + self.grant["status"], "type": None}], "result": reply})

    def find_zone(self, zone_id):
        if not re.fullmatch(r"[0-9a-f]{32}", zone_id):
            raise refusal(404 if zone_id else 400, (
                7003, f"Could not route to /zones/{zone_id}, perhaps your "
                "object identifier is invalid?"),
                (7000, "No route for that URI"))
        for zone in self.zones:
            if zone.id == zone_id:
                if not self.reach(zone):
                    raise refusal(403, (9109, "Unauthorized to access "
                                        "requested resource"))
                return zone
        raise refusal(404, (7003, f"Could not route to /zones/{zone_id}, "
                            "perhaps your object identifier is invalid?"),
                      (7000, "No route for that URI"))

    # Lists

    @staticmethod
    def number(request, name, default, low, high):
        text = request.arg(name, str(default))
        if not re.fullmatch(r"\d{1,8}", text) or not low <= int(text) <= high:
            raise refusal(400, (1004, f"Invalid {name}"))
        return int(text)

    def page(self, request, rows, default, low, high):
        number = self.number(request, "page", 1, 1, 10 ** 7)
        size = self.number(request, "per_page", default, low, high)
        cut = rows[(number - 1) * size:number * size]
        return answer({
            "success": True, "errors": [], "messages": [], "result": cut,
            "result_info": {"page": number, "per_page": size,
                            "count": len(cut), "total_count": len(rows),
                            "total_pages": max(1, -(-len(rows) // size))}})

    def list_zones(self, request):
        known = {"name", "status", "account.id", "account.name", "page",
                 "per_page", "order", "direction", "match", "type"}
        self.known_args(request, known)
        if request.arg("status", "active") not in (
                "initializing", "pending", "active", "moved"):
            raise refusal(400, (1004, "Invalid status"))
        rows = []
        for zone in self.zones:
            wanted = [(zone.name, (request.arg("name") or "").lower()),
                      (zone.info["status"], request.arg("status")),
                      (zone.info["type"], request.arg("type")),
                      (zone.info["account"], request.arg("account.id"))]
            if self.reach(zone) and all(not want or have == want
                                        for have, want in wanted):
                rows.append(self.zone_json(zone))
        return self.page(request, rows, 20, 5, 50)

    @staticmethod
    def known_args(request, known):
        """Misspelt filters would silently match all: refuse them here."""
        for name, _ in request.query:
            if name not in known:
                raise refusal(400, (1004, f"unknown query argument {name}"))

    def list_records(self, zone, request):
        filters = {"type", "name", "name.exact", "name.contains",
                   "name.startswith", "name.endswith", "content",
                   "content.exact", "content.contains",
                   "content.startswith", "content.endswith"}
        self.known_args(request, filters | {
            "page", "per_page", "order", "direction", "match", "proxied",
            "search", "comment", "tag", "tag_match"})
        if request.arg("match", "all") not in ("all", "any"):
            raise refusal(400, (1004, "Invalid match"))
        tests = [(n, v) for n, v in request.query if n in filters]
        combine = any if request.arg("match") == "any" and tests else all
        rows = [self.record_json(r) for r in zone.records
                if combine(self.matches(r, n, v) for n, v in tests)]
        rows.sort(key=lambda r: r["type"])
        return self.page(request, rows, 100, 1, 5000000)

    @staticmethod
    def matches(record, argument, value):
        field, _, how = argument.partition(".")
        have, value = record[field].lower(), value.lower()
        return {"": have == value, "exact": have == value,
                "contains": value in have,
                "startswith": have.startswith(value),
                "endswith": have.endswith(value)}[how]

    # Records

    @staticmethod
    def record_json(record):
        proxiable = record["type"] in ADDRESS_LIKE
        out = {"id": record["id"], "name": record["name"],
               "type": record["type"], "content": record["content"],
               "proxiable": proxiable, "proxied": record["proxied"],
               "ttl": 1 if record["proxied"] else record["ttl"],
               "settings": {}, "meta": {}, "comment": record["comment"],
               "tags": record["tags"], "created_on": record["created_on"],
               "modified_on": record["modified_on"]}
        if record["priority"] is not None:
            out["priority"] = record["priority"]
        return out

    def body(self, request):
        if request.content_type() != "application/json":
            raise refusal(400, (6003, "Invalid request headers", (
                6105, "Invalid Content-Type header, valid values are "
                "application/json,multipart/form-data")))
        try:
            value = request.json()
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise refusal(400, (9207, "Request body is invalid."))
        return value

    def by_schema(self, given):
        """Hold a whole record against the vendor's schema of its type."""
        name = f"dns-records_{given.get('type')}Record"
        if not self.schema or name not in self.schema["components"]["schemas"]:
            return
        wrong = base.schema_error(
            self.schema, "#/components/schemas/" + name,
            {k: v for k, v in given.items() if v is not None})
        if wrong:
            raise invalid(9207, "Request body is invalid: " + wrong)

    def record(self, zone, given, old=None):
        """A checked record from a request's members."""
        kind = given.get("type")
        if not isinstance(kind, str) or kind not in TYPES:
            raise invalid(9005 if "type" in given else 9000,
                          "Invalid or missing type, should be a valid record "
                          "type.")
        self.by_schema(given)
        name, content = given.get("name"), given.get("content")
        if not isinstance(name, str) or not name or len(name) > 255:
            raise invalid(9000, "DNS name is invalid.")
        if not isinstance(content, str) or not content:
            raise invalid(9020 if given["type"] != "TXT" else 9207,
                          "Content is missing or empty.")
        ttl = given.get("ttl", 1)
        if type(ttl) is not int or not (ttl == 1 or 60 <= ttl <= 86400):
            raise invalid(9021, "Invalid TTL. Must be between 60 and 86400 "
                          "seconds, or 1 for Automatic.")
        proxied = given.get("proxied", False)
        if type(proxied) is not bool or (
                proxied and given["type"] not in ADDRESS_LIKE):
            raise invalid(9004, "This record type cannot be proxied.")
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
        record = {"id": old["id"] if old else secrets.token_hex(16),
                  "type": given["type"], "name": self.full_name(zone, name),
                  "content": content, "ttl": ttl, "proxied": proxied,
                  "priority": given.get("priority"),
                  "comment": given.get("comment"),
                  "tags": given.get("tags") or [],
                  "created_on": old["created_on"] if old else now,
                  "modified_on": now}
        self.check_content(record)
        return record

    @staticmethod
    def full_name(zone, name):
        """As the service does: a name outside the zone is put below it."""
        name = name.lower()
        if name == "@":
            return zone.name
        if name.endswith("."):
            name = name[:-1]
        if not HOSTNAME.fullmatch(name):
            raise invalid(9000, "DNS name is invalid.")
        return name if zone.relative(name) else f"{name}.{zone.name}"

    @staticmethod
    def check_content(record):
        kind, content = record["type"], record["content"]
        try:
            if kind == "A":
                ipaddress.IPv4Address(content)
            elif kind == "AAAA":
                ipaddress.IPv6Address(content)
        except ValueError:
            raise invalid(9005, f"Content for {kind} record is invalid."
                          ) from None
        if kind in ("CNAME", "NS", "MX", "PTR"):
            if not HOSTNAME.fullmatch(content):
                raise invalid(9007 if kind == "CNAME" else 9009,
                              f"Content for {kind} record is invalid.")
            if content.rstrip(".").lower() == record["name"]:
                raise invalid(9039, "CNAME content cannot reference itself.")
            record["content"] = content.rstrip(".")
        if kind == "MX" and record["priority"] is None:
            raise invalid(9102, "priority is a required data field.")
        if kind == "TXT":
            if sum(len(s.encode()) + 1 for s in strings(content)) > 4096:
                raise invalid(9207, "TXT record is too long.")

    def same(self, one, other):
        if one["type"] == "TXT" == other["type"] and self.quoted_equal:
            return "".join(strings(one["content"])) == "".join(
                strings(other["content"]))
        return one["content"] == other["content"]

    def conflicts(self, zone, new):
        """Refuse what may not stand beside the records already there."""
        here = [r for r in zone.records
                if r["name"] == new["name"] and r["id"] != new["id"]]
        for old in here:
            if old["type"] == new["type"] and self.same(old, new):
                code = 81057 if new["type"] in ADDRESS_LIKE else 81058
                raise refusal(400, (
                    code, "An identical record already exists."
                    if code == 81058 else "The record already exists."))
        if new["type"] == "CNAME" and new["name"] != zone.name:
            if any(r["type"] in ADDRESS_LIKE for r in here):
                raise refusal(400, (81053, "An A, AAAA, or CNAME record with "
                                    "that host already exists."))
            if any(r["type"] == "NS" for r in here):
                raise refusal(400, (81056, "NS records with that host already "
                                    "exist."))
            if here:
                raise refusal(400, (81054, "A CNAME record with that host "
                                    "already exists."))
        elif any(r["type"] == "CNAME" for r in here):
            if new["name"] != zone.name:
                raise refusal(400, (81054, "A CNAME record with that host "
                                    "already exists."))
        elif new["type"] != "NS" and any(r["type"] == "NS" for r in here):
            if new["name"] != zone.name and new["type"] != "DS":
                raise refusal(400, (81056, "NS records with that host already "
                                    "exist."))
        size = sum(len(r["content"].encode()) for r in here + [new]
                   if r["type"] == new["type"])
        if size > 8192:
            raise invalid(9207, "Records of this name and type are too long.")

    def writable(self, zone):
        if not self.may_edit:
            raise refusal(self.error_status, (10000, "Authentication error"))
        if zone.info["type"] == "secondary":
            raise refusal(400, (1010, "Zone is secondary and cannot be "
                                "edited"))

    def create(self, zone, request):
        self.writable(zone)
        record = self.record(zone, self.body(request))
        self.conflicts(zone, record)
        zone.records.append(record)
        self.touch(zone)
        return self.single(self.record_json(record))

    @staticmethod
    def find(zone, record_id):
        if not isinstance(record_id, str) or not re.fullmatch(
                r"[0-9a-f]{32}", record_id):
            raise refusal(404, (7003, "Could not route to that record, "
                                "perhaps your object identifier is invalid?"),
                          (7000, "No route for that URI"))
        for record in zone.records:
            if record["id"] == record_id:
                return record
        raise refusal(404, (81044, "Record does not exist."))

    def one_record(self, zone, record_id, request):
        if request.method == "GET":
            return self.single(self.record_json(self.find(zone, record_id)))
        self.writable(zone)
        old = self.find(zone, record_id)
        if request.method == "DELETE":
            zone.records.remove(old)
            self.touch(zone)
            return self.single({"id": record_id})
        given = self.body(request)
        new = self.change(zone, old, given, request.method == "PATCH")
        self.touch(zone)
        return self.single(self.record_json(new))

    def change(self, zone, old, given, patch):
        if patch:
            given = {**{k: old[k] for k in (
                "type", "name", "content", "ttl", "proxied", "priority",
                "comment", "tags")}, **given}
        new = self.record(zone, given, old)
        self.conflicts(zone, new)
        zone.records[zone.records.index(old)] = new
        return new

    def batch(self, zone, request):
        """Deletes, patches, puts, posts, in that order, all or none."""
        self.writable(zone)
        given = self.body(request)
        kinds = ("deletes", "patches", "puts", "posts")
        for name, items in given.items():
            if name not in kinds or not isinstance(items, list) or not all(
                    isinstance(item, dict) for item in items):
                raise refusal(400, (9207, f"Request body is invalid: {name}"))
        total = sum(len(items) for items in given.values())
        if total > self.per_zone_limit:
            raise refusal(400, (9207, "Too many records in one batch: "
                                f"{total} > {self.per_zone_limit}"))
        if total == 0:
            raise refusal(400, (9207, "Request body is empty."))
        before, done = list(zone.records), {kind: [] for kind in kinds}
        try:
            for kind in kinds:
                for item in given.get(kind, []):
                    done[kind].append(self.record_json(
                        self.batch_item(zone, kind, item)))
        except Response:
            zone.records = before
            raise
        self.touch(zone)
        return self.single(done)

    def batch_item(self, zone, kind, item):
        if kind == "posts":
            new = self.record(zone, item)
            self.conflicts(zone, new)
            zone.records.append(new)
            return new
        old = self.find(zone, item.get("id"))
        if kind == "deletes":
            zone.records.remove(old)
            return old
        return self.change(zone, old, item, kind == "patches")

    # Seeds and DNS

    def put_values(self, zone, name, rtype, values, ttl):
        for value in values:
            priority = None
            if rtype == "MX":
                priority, value = value.split(" ", 1)
            elif rtype == "TXT" and int(hashlib.sha256(
                    value.encode()).hexdigest(), 16) % 2:
                value = f'"{value}"'
            given = {"type": rtype, "name": name, "content": value, "ttl": ttl}
            if priority is not None:
                given["priority"] = int(priority)
            zone.records.append(self.record(zone, given))

    def rrsets(self, zone):
        found = {}
        for record in zone.records:
            kind, content = record["type"], record["content"]
            if kind == "TXT":
                value = strings(content)
            elif kind in ("CNAME", "NS", "PTR"):
                value = content + "."
            elif kind == "MX":
                value = f"{record['priority']} {content}."
            else:
                value = content
            if record["proxied"] and kind == "CNAME":
                kind, value = "A", "192.0.2.200"
            found.setdefault((record["name"], kind),
                             [record["ttl"], []])[1].append(value)
        for (name, kind), (ttl, values) in found.items():
            yield name, kind, 300 if ttl == 1 else ttl, values
