# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A stand-in of GoDaddy's Domains API v1: domains and their records.

Settings beside base.py's: denied (list of what the account policy refuses with
403: "domains" the list and the detail, "read" and "write" of records),
settle_calls (so many record calls after each edit of a domain get 409),
silent_empty (TXT writes answer 200 and store an empty value),
retry_after_header (429 has a Retry-After header too).
Fault kinds beside base.py's: quota (429 QUOTA_EXCEEDED), settling (409).

add_zone() members: registered (false: hosted only, lists omit it), status,
name_servers, served.  fake.alarms tells of every PUT of a whole type or zone
that lost other people's records.  fake.ote_credentials belong to the test
environment and are refused here.  A domain's detail holds fake.auth_code.
"""
import ipaddress
import re
import secrets
import uuid

from . import base
from .base import Response, answer

TYPES = ("A", "AAAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT")
DELETABLE = ("A", "AAAA", "CNAME", "MX", "SRV", "TXT")
HOST = re.compile(r"(\*\.|\*$)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
                  r"(\.(?!$)|$))*", re.I)
DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
                    re.I)
CONTACT = {"nameFirst": "Personal", "nameLast": "Contact", "email":
           "registrant@example.com", "phone": "+1.4805058800",
           "addressMailing": {"address1": "1 Street", "city": "Town",
                              "state": "Arizona", "postalCode": "85260",
                              "country": "US"}}
MESSAGES = {
    "MISSING_CREDENTIALS": "Unauthorized : Credentials must be specified",
    "MALFORMED_CREDENTIALS": "Unauthorized : Malformed authorization header",
    "UNABLE_TO_AUTHENTICATE": "Unauthorized : Could not authenticate API "
                              "key/secret",
    "ACCESS_DENIED": "Authenticated user is not allowed access",
    "UNKNOWN_DOMAIN": "The given domain is not registered, or does not have "
                      "a zone file",
    "NOT_FOUND": "Resource not found",
    "MISMATCH_FORMAT": "The domain has an invalid format",
    "INVALID_BODY": "Request body doesn't fulfill schema, see details in "
                    "`fields`",
    "DUPLICATE_RECORD": "Another record with the same attributes already "
                        "exists",
    "RECORD_CONFLICT": "A CNAME cannot stand beside other records",
    "CONFLICT": "The given domain is being edited, try again later"}


def refusal(status, code, path=None, why=None, **more):
    """An error; path and why fill `fields`."""
    body = {"code": code, "message": MESSAGES.get(code, code), **more}
    if path is not None:
        body["fields"] = [{"code": "UNKNOWN_RESTRICTION" if why else code,
                           "message": why or body["message"], "path": path}]
    return answer(body, status)


class Fake(base.BaseFake):
    vendor = "godaddy"
    hosts = ("api.godaddy.com",)
    control_settings = base.BaseFake.control_settings | {
        "denied", "settle_calls", "silent_empty", "retry_after_header"}
    extra_faults = {"quota", "settling"}
    denied = ()
    settle_calls = 0
    silent_empty = False
    retry_after_header = False

    def start(self):
        self.schema = base.shared_spec("godaddy/domains-records.swagger.json")
        self.by_endpoint = base.Bucket(60, 60)
        self.alarms, self.settling = [], {}
        self.auth_code = "canary-" + secrets.token_hex(8)
        self.credentials, self.ote_credentials = (
            {"key": "dLf" + base.secret(20),
             "secret": base.secret(22)} for _ in range(2))

    def state(self):
        return {**super().state(), "alarms": self.alarms}

    # Domains

    def zone_info(self, name, info):
        return {"registered": True, "status": "ACTIVE", **info}

    def name_servers(self, zone):
        return zone.info.get("name_servers", ["ns01.domaincontrol.com",
                                              "ns02.domaincontrol.com"])

    def seed_oddities(self):
        self.add_zone("hosted.example", registered=False)
        self.add_zone("cancelled.example", status="CANCELLED", served=False)
        self.add_zone("legacy.example")
        for value in ("", " ", "null", "stranger-of-legacy"):
            self.add_record("legacy.example", "_acme-challenge", "TXT", value,
                            ttl=600)

    def domain_json(self, zone, detail=False, includes=()):
        number = 100000 + self.zones.index(zone)
        out = {"domain": zone.name, "domainId": number,
               "status": zone.info["status"], "createdAt":
               "2026-01-01T00:00:00.000Z", "renewDeadline":
               "2027-01-01T00:00:00.000Z", "contactRegistrant": CONTACT,
               **{name: False for name in (
                   "expirationProtected", "holdRegistrar", "locked",
                   "privacy", "renewAuto", "transferProtected")}}
        if detail or "authCode" in includes:
            out["authCode"] = self.auth_code
        if detail:
            out.update({"contact" + who: CONTACT
                        for who in ("Admin", "Billing", "Tech")})
        if detail or "nameServers" in includes:
            out["nameServers"] = self.name_servers(zone)
        return out

    # The way in

    def too_fast(self, seconds):
        wait = max(1, round(seconds))
        reply = refusal(429, "TOO_MANY_REQUESTS", retryAfterSec=wait)
        if self.retry_after_header:
            reply.headers["Retry-After"] = str(wait)
        return reply

    def vendor_fault(self, kind):
        if kind == "settling":
            return refusal(409, "CONFLICT")
        return refusal(429, "QUOTA_EXCEEDED", retryAfterSec=1200000)

    def authenticate(self, request):
        given = request.header("Authorization")
        if given is None:
            raise refusal(401, "MISSING_CREDENTIALS")
        match = re.fullmatch(r"sso-key ([^\s:]+):([^\s:]+)", given)
        if not match:
            raise refusal(401, "MALFORMED_CREDENTIALS")
        if match.groups() != tuple(self.credentials.values()):
            raise refusal(401, "UNABLE_TO_AUTHENTICATE")

    def handle(self, request):
        parts = request.path.split("/")[1:]
        if parts[:2] != ["v1", "domains"] or not 2 <= len(parts) <= 6 or (
                len(parts) > 3 and parts[3] != "records"):
            raise refusal(404, "NOT_FOUND")
        self.authenticate(request)
        self.limit(self.by_endpoint, (request.method, len(parts)))
        if len(parts) == 2:
            self.policy("domains")
            self.only(request, "GET")
            return self.list_domains(request)
        if len(parts) == 3:
            self.policy("domains")
            self.only(request, "GET")
            return answer(self.domain_json(
                self.find(parts[2], "NOT_FOUND", registered=True), True))
        if len(parts) == 4:
            self.only(request, "GET", "PATCH", "PUT")
        elif len(parts) == 5:
            self.only(request, "GET", "PUT")
        else:
            self.only(request, "GET", "PUT", "DELETE")
        self.policy("read" if request.method == "GET" else "write")
        zone = self.find(parts[2], "UNKNOWN_DOMAIN")
        return self.records(request, zone, *parts[4:])

    @staticmethod
    def only(request, *methods):
        if request.method not in methods:
            raise refusal(405, "METHOD_NOT_ALLOWED")

    def policy(self, group):
        if group in self.denied:
            raise refusal(403, "ACCESS_DENIED")

    def find(self, name, code, registered=False):
        if not DOMAIN.fullmatch(name):
            raise refusal(422, "MISMATCH_FORMAT", "domain")
        for zone in self.zones:
            if zone.name == name.lower() and (zone.info["registered"]
                                              or not registered):
                return zone
        raise refusal(404, code)

    @staticmethod
    def number(request, name, default, low, high):
        text = request.arg(name, str(default))
        if not re.fullmatch(r"\d{1,9}", text) or not low <= int(text) <= high:
            raise refusal(422, "MISMATCH_FORMAT", name)
        return int(text)

    def list_domains(self, request):
        limit = self.number(request, "limit", 100, 1, 1000)
        statuses = [s for n, v in request.query if n == "statuses"
                    for s in v.split(",")]
        includes = [s for n, v in request.query if n == "includes"
                    for s in v.split(",")]
        marker = (request.arg("marker") or "").lower()
        rows = sorted((z for z in self.zones if z.info["registered"]
                       and z.name > marker and (
                           not statuses or z.info["status"] in statuses)),
                      key=lambda z: z.name)
        return answer([self.domain_json(z, includes=includes)
                       for z in rows[:limit]])

    # Records

    def records(self, request, zone, kind=None, name=None):
        if kind is not None and kind not in (
                DELETABLE if request.method == "DELETE" else TYPES):
            raise refusal(422, "MISMATCH_FORMAT", "type")
        if name is not None and name != "@" and not HOST.fullmatch(name):
            raise refusal(422, "MISMATCH_FORMAT", "name")
        if self.settling.get(zone.id, 0) > 0:
            self.settling[zone.id] -= 1
            raise refusal(409, "CONFLICT")
        there = [r for r in self.all_records(zone)
                 if kind in (None, r["type"])
                 and name in (None, r["name"])]
        if request.method == "GET":
            offset = self.number(request, "offset", 0, 0, 10 ** 8)
            limit = self.number(request, "limit", 500, 1, 500)
            return answer(there[offset:offset + limit])
        if request.method == "DELETE":
            if not there:
                raise refusal(404, "NOT_FOUND")
            return self.store(zone, there, [], 204)
        new = [self.check(record, index, kind, name) for index, record
               in enumerate(self.body(request, kind, name))]
        if request.method == "PATCH":
            return self.store(zone, [], new, 200)
        if not new:
            return Response(200)        # an empty array changes nothing
        if name is None:
            self.alarm(request, zone, there, new)
        return self.store(zone, there, new, 200)

    def all_records(self, zone):
        return [{"data": ns, "name": "@", "ttl": 3600, "type": "NS"}
                for ns in self.name_servers(zone)] + zone.records

    def alarm(self, request, zone, old, new):
        lost = [r for r in old if r not in new and r in zone.records]
        if lost:
            self.alarms.append({"request": f"{request.method} {request.path}",
                                "zone": zone.name, "lost": lost})

    def body(self, request, kind, name):
        if request.content_type() != "application/json":
            raise refusal(415, "UNSUPPORTED_MEDIA_TYPE")
        try:
            given = request.json()
        except ValueError:
            raise refusal(400, "MALFORMED_BODY") from None
        if not isinstance(given, list) or (
                not given and request.method == "PATCH"):
            raise refusal(422, "INVALID_BODY", "records",
                          "is not an array of records")
        shape = "DNSRecord" + ("" if kind is None else "CreateType"
                               if name is None else "CreateTypeName")
        wrong = self.schema and base.schema_error(
            {**self.schema, "definitions": {
                **self.schema["definitions"], "Records": {
                    "type": "array",
                    "items": {"$ref": "#/definitions/" + shape}}}},
            "#/definitions/Records", given)
        if wrong:
            raise refusal(422, "INVALID_BODY", "records", wrong)
        return given

    def check(self, record, index, kind, name):
        """A record as it will be stored, or a refusal."""
        def must(good, member, why):
            if not good:
                raise refusal(422, "INVALID_BODY",
                              f"records[{index}].{member}", why)

        must(isinstance(record, dict), "", "is not a record")
        made = {"data": record.get("data"), "name": name or record.get("name"),
                "ttl": record.get("ttl"), "type": kind or record.get("type")}
        must(made["type"] in TYPES, "type", "is not a known type")
        must(record.get("type", made["type"]) == made["type"], "type",
             "is not the type of the path")
        must(isinstance(made["name"], str) and made["name"] and (
            made["name"] == "@" or HOST.fullmatch(made["name"])), "name",
             "is not a host name")
        must(isinstance(made["data"], str) and made["data"].strip(), "data",
             "must not be empty")
        must(type(made["ttl"]) is int, "ttl", "is required")
        must(made["ttl"] >= 600, "ttl", "must have a minimum value of 600")
        must(made["ttl"] <= 604800, "ttl",
             "must have a maximum value of 604800")
        if made["type"] in ("CNAME", "MX", "NS"):
            must(made["data"] == "@" or HOST.fullmatch(made["data"]), "data",
                 "is not a host name")
        if made["type"] == "A":
            try:
                ipaddress.IPv4Address(made["data"])
            except ValueError:
                must(False, "data", "is not an IPv4 address")
        if made["type"] == "TXT" and self.silent_empty:
            made["data"] = ""
        made.update({m: record[m] for m in ("priority", "weight", "port",
                                            "service", "protocol")
                     if m in record})
        return made

    def store(self, zone, old, new, status):
        """Take old out, put new in, unless that makes a bad zone."""
        work = [r for r in zone.records
                if not any(r is gone for gone in old)]
        for index, record in enumerate(new):
            alike = [r for r in work if r["name"].lower() ==
                     record["name"].lower()]
            if any((r["type"], r["data"]) == (record["type"], record["data"])
                   for r in alike) and record["data"]:
                raise refusal(422, "DUPLICATE_RECORD", f"records[{index}]")
            if any("CNAME" in (r["type"], record["type"]) for r in alike):
                raise refusal(422, "RECORD_CONFLICT", f"records[{index}]")
            work.append(record)
        zone.records = work
        self.settling[zone.id] = self.settle_calls
        self.touch(zone)
        return Response(status, headers={"X-Request-Id": str(uuid.uuid4())})

    # Seeds and DNS

    def put_values(self, zone, name, rtype, values, ttl):
        for value in values:
            record = {"data": value, "name": zone.relative(name),
                      "ttl": max(ttl, 600), "type": rtype}
            if rtype == "MX":
                priority, record["data"] = value.rstrip(".").split(" ", 1)
                record["priority"] = int(priority)
            elif rtype in ("CNAME", "NS"):
                record["data"] = value.rstrip(".")
            zone.records.append(record)

    def rrsets(self, zone):
        found = {}
        for record in zone.records:
            kind, data = record["type"], record["data"]
            if kind == "TXT":
                value = tuple(data[i:i + 255]
                              for i in range(0, len(data), 255)) or ("",)
            elif kind in ("CNAME", "NS"):
                value = (zone.name if data == "@" else data) + "."
            elif kind == "MX":
                value = f"{record.get('priority', 0)} {data}."
            elif kind == "SRV":
                continue
            else:
                value = data
            found.setdefault((zone.full(record["name"]), kind),
                             [record["ttl"], []])[1].append(value)
        for (name, kind), (ttl, values) in found.items():
            yield name, kind, ttl, values
