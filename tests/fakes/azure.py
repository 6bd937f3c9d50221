# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A stand-in of Azure DNS 2018-05-01: login endpoint and Resource Manager.

Both endpoints are on fake.url (login-endpoint is in fake.credentials).

Settings beside base.py's: token_lifetime (seconds, 3599), expired (setting it
true ends all tokens now), etag_quotes (the ETag header has quotation marks),
conflict_status (409 or 400, of a CNAME beside others), max_txt (4096; 1024 in
national clouds), next_link_base (scheme and host put into nextLink; default:
those asked).  Fault kinds beside base.py's: busy (429, another operation
runs), token-expired, unauthenticated (401 of other kinds, nested).

add_zone() members: group, kind ("Public" or "Private"), name_servers, served.
fake.principals holds users; fake.credentials_of(name) their options: "admin",
"reader", "record" (one TXT set, and reads its zone), "record-only" (not even
that), "nobody" (no role yet), "stale" (its secret has expired).
"""
import base64
import json
import re
import secrets
import time
import urllib.parse
import uuid

from . import base
from .base import answer

VERSIONS = {"2016-04-01", "2017-09-01", "2017-10-01", "2018-03-01-preview",
            "2018-05-01", "2023-07-01-preview"}
RESOURCES = {"https://management.azure.com",
             "https://management.usgovcloudapi.net",
             "https://management.chinacloudapi.cn"}
MEMBERS = {"A": "ARecords", "AAAA": "AAAARecords", "CAA": "caaRecords",
           "CNAME": "CNAMERecord", "MX": "MXRecords", "NS": "NSRecords",
           "PTR": "PTRRecords", "SOA": "SOARecord", "SRV": "SRVRecords",
           "TXT": "TXTRecords"}
OTHER = {"TTL", "metadata", "fqdn", "provisioningState", "targetResource"}
LABEL = r"(\*|[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)"
READ, WRITE, DELETE = "read", "write", "delete"


def flat(status, code, message, headers=None):
    """An error of the DNS service itself."""
    return answer({"code": code, "message": message}, status, headers)


def nested(status, code, message, headers=None):
    """An error of the layer in front."""
    return answer({"error": {"code": code, "message": message}}, status,
                  headers)


def bad(message):
    return flat(400, "BadRequest", message)


class Fake(base.BaseFake):
    vendor = "azure"
    hosts = ("management.azure.com", "login.microsoftonline.com")
    control_settings = base.BaseFake.control_settings | {
        "token_lifetime", "expired", "etag_quotes", "conflict_status",
        "max_txt", "next_link_base"}
    extra_faults = {"busy", "token-expired", "unauthenticated"}
    token_lifetime = 3599
    etag_quotes = False
    conflict_status = 409
    max_txt = 4096
    next_link_base = None

    def start(self):
        self.schema = base.shared_spec("azure-dns/dns.json")
        self.subscription, self.tenant = str(uuid.uuid4()), str(uuid.uuid4())
        self.groups = ["rg-dns", "RG-Other", "rg-private"]
        self.tokens = {}
        self.reads, self.writes = base.Refill(250, 25), base.Refill(200, 10)
        self.minute = {"get": base.Bucket(2000, 60),
                       "list": base.Bucket(60, 60),
                       "put": base.Bucket(200, 60),
                       "patch": base.Bucket(200, 60),
                       "delete": base.Bucket(200, 60),
                       "zone": base.Bucket(1000, 60),
                       "zones": base.Bucket(60, 60)}
        whole = f"/subscriptions/{self.subscription}"
        zone = (f"{whole}/resourcegroups/rg-dns/providers/microsoft.network"
                "/dnszones/example.com")
        one = [(zone + "/txt/_acme-challenge", {READ, WRITE, DELETE})]
        self.principals = {
            "admin": [(whole, {READ, WRITE, DELETE})],
            "reader": [(whole, {READ})], "record": one + [(zone, {READ})],
            "record-only": one, "nobody": [], "stale": []}
        self.principals = {
            name: {"id": str(uuid.uuid4()), "rights": rights,
                   "secret": "8Q~" + secrets.token_urlsafe(20) + "+/=~x"}
            for name, rights in self.principals.items()}
        self.credentials = self.credentials_of("admin")

    def credentials_of(self, name):
        who = self.principals[name]
        return {"subscription-id": self.subscription,
                "tenant-id": self.tenant, "client-id": who["id"],
                "client-secret": who["secret"], "resource-group": "rg-dns",
                "login-endpoint": self.url}

    @property
    def expired(self):
        return not self.tokens

    @expired.setter
    def expired(self, value):
        if value:
            for token in self.tokens.values():
                token["until"] = 0

    # Zones

    def zone_info(self, name, info):
        return {"group": "rg-dns", "kind": "Public",
                "etag": str(uuid.uuid4()), **info}

    def name_servers(self, zone):
        return zone.info.get("name_servers", [
            "ns1-01.azure-dns.com", "ns2-01.azure-dns.net",
            "ns3-01.azure-dns.org", "ns4-01.azure-dns.info"])

    def seed_oddities(self):
        self.add_zone("twice.example")
        self.add_zone("twice.example", group="RG-Other", served=False,
                      name_servers=["ns1-07.azure-dns.com",
                                    "ns2-07.azure-dns.net"])
        self.add_zone("other.example", group="RG-Other")
        self.add_zone("example.com", group="rg-private", kind="Private",
                      served=False)

    def zone_path(self, zone):
        return (f"/subscriptions/{self.subscription}/resourceGroups/"
                f"{zone.info['group'].lower()}/providers/Microsoft.Network/"
                f"dnszones/{zone.name}")

    def zone_json(self, zone):
        return {"id": self.zone_path(zone), "name": zone.name,
                "type": "Microsoft.Network/dnszones",
                "etag": zone.info["etag"], "location": "global", "tags": {},
                "properties": {
                    "maxNumberOfRecordSets": 10000,
                    "numberOfRecordSets": len(self.all_sets(zone)),
                    "nameServers": [ns + "." for ns in
                                    self.name_servers(zone)],
                    "zoneType": zone.info["kind"]}}

    # Tokens

    def discovery(self, parts):
        """What the vendor's own library asks before it logs in, or None."""
        login = f"https://{self.hosts[1]}/{parts[0]}"
        if parts[1:] == ["discovery", "instance"]:
            return answer({"metadata": [{
                "preferred_network": self.hosts[1], "preferred_cache":
                self.hosts[1], "aliases": [self.hosts[1]]}]})
        if parts[1:] != ["v2.0", ".well-known", "openid-configuration"]:
            return None
        return answer({
            "issuer": login + "/v2.0",
            "authorization_endpoint": login + "/oauth2/v2.0/authorize",
            "token_endpoint": login + "/oauth2/v2.0/token"})

    def login(self, request, parts):
        if request.method != "POST" or parts[1:] not in (
                ["oauth2", "token"], ["oauth2", "v2.0", "token"]):
            raise self.no_token(404, 900561, "invalid_request", "not found")
        form = dict(urllib.parse.parse_qsl(request.body.decode("ascii",
                                                               "replace")))
        if request.content_type() != "application/x-www-form-urlencoded":
            form = {}
        old = parts[2] == "token"
        for name in ("grant_type", "client_id", "client_secret",
                     "resource" if old else "scope"):
            if not form.get(name):
                raise self.no_token(400, 900144, "invalid_request", "The "
                                    "request body must contain the following "
                                    f"parameter: '{name}'.")
        if parts[0] != self.tenant:
            raise self.no_token(400, 90002, "invalid_request",
                                f"Tenant '{parts[0]}' not found.")
        if form["grant_type"] != "client_credentials":
            raise self.no_token(400, 70003, "unsupported_grant_type",
                                "The app requested an unsupported grant type")
        self.check_resource(form, old)
        who = next((n for n, p in self.principals.items()
                    if p["id"] == form["client_id"].lower()), None)
        if who is None:
            raise self.no_token(400, 700016, "unauthorized_client",
                                "Application with identifier "
                                f"'{form['client_id']}' was not found in the "
                                f"directory '{self.tenant}'.")
        if form["client_secret"] != self.principals[who]["secret"]:
            raise self.no_token(401, 7000215, "invalid_client", "Invalid "
                                "client secret provided. Ensure the secret "
                                "being sent in the request is the client "
                                "secret value, not the client secret ID.")
        if who == "stale":
            raise self.no_token(401, 7000222, "invalid_client", "The provided "
                                "client secret keys for app are expired.")
        return self.grant(who, old)

    def check_resource(self, form, old):
        asked = form["resource"] if old else form["scope"]
        if not old and not asked.endswith("/.default"):
            raise self.no_token(400, 1002012, "invalid_scope", "The provided "
                                f"value for scope {asked} is not valid.")
        asked = asked.removesuffix("/.default").rstrip("/")
        if asked not in RESOURCES | {self.url}:
            raise self.no_token(400, 500011, "invalid_resource", "The resource"
                                f" principal named {asked} was not found")

    def grant(self, who, old):
        token = "eyJ0eXAiOiJKV1QifQ." + secrets.token_urlsafe(600)
        self.tokens[token] = {"who": who,
                              "until": self.now() + self.token_lifetime}
        reply = {"token_type": "Bearer", "expires_in": self.token_lifetime,
                 "ext_expires_in": self.token_lifetime, "access_token": token}
        if old:
            until = int(self.now() + self.token_lifetime)
            reply.update(expires_in=str(self.token_lifetime),
                         ext_expires_in=str(self.token_lifetime),
                         expires_on=str(until), not_before=str(until - 3900),
                         resource="https://management.azure.com")
        return answer(reply, headers={"Cache-Control": "no-store, no-cache"})

    def no_token(self, status, number, error, text):
        trace = str(uuid.uuid4())
        stamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(self.now()))
        return answer({
            "error": error, "error_codes": [number], "timestamp": stamp,
            "error_description": f"AADSTS{number}: {text}\r\nTrace ID: {trace}"
            f"\r\nCorrelation ID: {trace}\r\nTimestamp: {stamp}",
            "trace_id": trace, "correlation_id": trace}, status)

    @staticmethod
    def unauthenticated(code, text):
        return nested(401, code, text, {
            "WWW-Authenticate": 'Bearer authorization_uri="https://login.'
            f'windows.net/common", error="invalid_token", '
            f'error_description="{text}"'})

    def authenticate(self, request):
        given = request.header("Authorization")
        if given is None:
            raise self.unauthenticated("AuthenticationFailed", "Authentication"
                                       " failed. The 'Authorization' header is"
                                       " missing.")
        kind, _, token = given.partition(" ")
        if kind != "Bearer" or token not in self.tokens:
            raise self.unauthenticated("InvalidAuthenticationToken", "The "
                                       "access token is invalid.")
        if self.tokens[token]["until"] <= self.now():
            raise self.vendor_fault("token-expired")
        return self.tokens[token]["who"]

    def vendor_fault(self, kind, code="InvalidAuthenticationToken"):
        if kind == "busy":
            return flat(429, "RetryableErrorDueToAnotherOperation", "Another "
                        "operation on this or a dependent resource is in "
                        "progress.", {"Retry-After": "1"})
        if kind == "unauthenticated":
            return self.unauthenticated(code, "The access token is invalid.")
        return self.unauthenticated("ExpiredAuthenticationToken", "The access "
                                    "token expiry UTC time is earlier than "
                                    "current UTC time.")

    def too_fast(self, seconds):
        return nested(429, "TooManyRequests", "The request is being throttled "
                      "as the limit has been reached for operation type.",
                      {"Retry-After": str(max(1, round(seconds)))})

    # The way in

    def handle(self, request):
        parts = request.path[1:].split("/")
        found = self.discovery(parts)
        if found:
            return found
        if len(parts) > 1 and parts[1] == "oauth2":
            return self.login(request, parts)
        if not request.path.startswith("/subscriptions/"):
            raise nested(404, "InvalidResourceNamespace", "no such path")
        who = self.authenticate(request)
        self.check_version(request)
        if parts[1].lower() != self.subscription:
            raise nested(404, "SubscriptionNotFound", "The subscription "
                         f"'{parts[1]}' could not be found.")
        action = {"GET": READ, "PUT": WRITE, "PATCH": WRITE,
                  "DELETE": DELETE}.get(request.method)
        if action is None:
            raise nested(405, "MethodNotAllowed", "")
        self.authorize(who, request, action)
        self.limit(self.reads if action == READ else self.writes, who)
        lower = [p.lower() for p in parts]
        if lower[2:] == ["providers", "microsoft.network", "dnszones"]:
            return self.list_zones(request, None)
        if lower[4:] == ["providers", "microsoft.authorization",
                         "permissions"]:
            return self.permissions(who)
        if lower[2] != "resourcegroups" or lower[4:7] != [
                "providers", "microsoft.network", "dnszones"]:
            raise nested(404, "InvalidResourceType", "The resource type could "
                         "not be found in the namespace")
        if lower[3] not in [g.lower() for g in self.groups]:
            raise nested(404, "ResourceGroupNotFound", "Resource group "
                         f"'{parts[3]}' could not be found.")
        if len(parts) == 7:
            return self.list_zones(request, lower[3])
        zone = next((z for z in self.zones if z.name == lower[7]
                     and z.info["group"].lower() == lower[3]), None)
        return self.in_zone(request, zone, parts[7:], parts[3])

    def permissions(self, who):
        """What somebody may do, as its role says (List For Resource
        Group)."""
        actions = self.principals[who].get("actions")
        if actions is None:
            rights = self.principals[who]["rights"][0][1]
            actions = ["*/read"] + (["Microsoft.Network/dnsZones/*",
                                     "Microsoft.Support/*"]
                                    if WRITE in rights else [])
        return answer({"value": [{"actions": actions, "notActions": []}]})

    @staticmethod
    def check_version(request):
        version = request.arg("api-version")
        if not version:
            raise nested(400, "MissingApiVersionParameter", "The api-version "
                         "query parameter (?api-version=) is required for all "
                         "requests.")
        if version not in VERSIONS and not (
                version == "2022-04-01" and
                request.path.lower().endswith("/permissions")):
            raise nested(400, "NoRegisteredProviderFound", "No registered "
                         f"resource provider found for version '{version}'")

    def authorize(self, who, request, action):
        path = request.path.lower().rstrip("/") + "/"
        for scope, actions in self.principals[who]["rights"]:
            if path.startswith(scope + "/") and action in actions:
                return
        raise nested(403, "AuthorizationFailed", "The client "
                     f"'{self.principals[who]['id']}' with object id 'o' does "
                     "not have authorization to perform action 'Microsoft."
                     f"Network/dnszones/{action}' over scope '{request.path}' "
                     "or the scope is invalid. If access was recently granted,"
                     " please refresh your credentials.")

    def in_zone(self, request, zone, parts, group):
        if zone is None and len(parts) == 1:
            raise nested(404, "ResourceNotFound", "The Resource 'Microsoft."
                         f"Network/dnszones/{parts[0]}' under resource group "
                         f"'{group}' was not found.")
        if zone is None:
            raise nested(404, "ParentResourceNotFound", "Failed to perform "
                         "the operation on resource(s) of type 'dnszones/"
                         f"{parts[1]}', because the parent resource "
                         f"'{parts[0]}' could not be found.")
        if len(parts) == 1:
            self.only_get(request)
            self.limit(self.minute["zone"], zone.id)
            return answer(self.zone_json(zone), headers=self.etag(
                zone.info["etag"]))
        kind = parts[1].upper()
        if len(parts) == 2 and (kind in MEMBERS or kind in ("RECORDSETS",
                                                            "ALL")):
            self.only_get(request)
            self.limit(self.minute["list"], zone.id)
            return self.list_sets(request, zone, kind)
        if kind not in MEMBERS or len(parts) != 3 or not parts[2]:
            raise nested(404, "InvalidResourceType", "The resource type could "
                         "not be found in the namespace")
        method = request.method.lower()
        self.limit(self.minute[method], zone.id)
        return getattr(self, method)(request, zone, kind, parts[2].lower())

    @staticmethod
    def only_get(request):
        if request.method != "GET":
            raise nested(405, "MethodNotAllowed", "not in this fake")

    def etag(self, etag):
        return {"ETag": f'"{etag}"' if self.etag_quotes else etag}

    # Lists

    def list_zones(self, request, group):
        self.only_get(request)
        self.limit(self.minute["zones"], group)
        rows = [self.zone_json(z) for z in self.zones
                if group in (None, z.info["group"].lower())]
        return self.page(request, rows)

    def list_sets(self, request, zone, kind):
        suffix = (request.arg("$recordsetnamesuffix") or "").lower()
        return self.page(request, [
            self.set_json(zone, s) for s in self.all_sets(zone)
            if kind in (s["type"], "RECORDSETS", "ALL")
            and s["name"].endswith(suffix)])

    def page(self, request, rows):
        top, token = request.arg("$top", "100"), request.arg("$skipToken")
        try:
            start = int(base64.urlsafe_b64decode(token)) if token else 0
            if not re.fullmatch(r"\d{1,4}", top) or int(top) < 1:
                raise ValueError
        except ValueError:
            raise bad("The value of $top or $skipToken is invalid.") from None
        end = start + min(int(top), 100)
        reply = {"value": rows[start:end]}
        if end < len(rows):
            query = [(n, v) for n, v in request.query if n != "$skipToken"]
            query.append(("$skipToken", base64.urlsafe_b64encode(
                str(end).encode()).decode()))
            scheme = "https" if self.tls else "http"
            host = (self.next_link_base
                    or f"{scheme}://{request.header('Host')}")
            reply["nextLink"] = (host + request.raw_path + "?"
                                 + urllib.parse.urlencode(query))
        body = json.dumps(reply).replace("/", "\\/")
        return base.Response(200, body, kind="application/json; charset=utf-8")

    # Record sets

    def all_sets(self, zone):
        """The sets of a zone with its own SOA and NS."""
        servers = [ns + "." for ns in self.name_servers(zone)]
        own = [{"name": "@", "type": "NS", "etag": zone.id, "properties": {
                   "TTL": 172800, "NSRecords": [{"nsdname": ns}
                                                for ns in servers]}},
               {"name": "@", "type": "SOA", "etag": zone.id, "properties": {
                   "TTL": 3600, "SOARecord": {
                       "email": "azuredns-hostmaster.microsoft.com",
                       "expireTime": 2419200, "host": servers[0],
                       "minimumTTL": 300, "refreshTime": 3600,
                       "retryTime": 300, "serialNumber": 1}}}]
        return own + zone.records

    def set_json(self, zone, one):
        return {"id": f"{self.zone_path(zone)}/{one['type']}/{one['name']}",
                "name": one["name"], "etag": one["etag"],
                "type": "Microsoft.Network/dnszones/" + one["type"],
                "properties": {"metadata": None, **one["properties"],
                               "fqdn": zone.full(one["name"]) + ".",
                               "targetResource": {},
                               "provisioningState": "Succeeded"}}

    def find(self, zone, kind, name):
        return next((s for s in self.all_sets(zone)
                     if (s["type"], s["name"]) == (kind, name)), None)

    def set_answer(self, zone, one, status=200):
        return answer(self.set_json(zone, one), status,
                      self.etag(one["etag"]))

    def absent(self, zone, name):
        return flat(404, "NotFound", f"The resource record '{name}' does not "
                    f"exist in resource group '{zone.info['group']}' of "
                    f"subscription '{self.subscription}'.")

    def get(self, request, zone, kind, name):
        one = self.find(zone, kind, name)
        if one is None:
            raise self.absent(zone, name)
        return self.set_answer(zone, one)

    @staticmethod
    def conditions(request, one):
        """Hold If-Match and If-None-Match against the set (None: absent)."""
        current = one["etag"] if one else "n/a"
        wanted = (request.header("If-Match") or "").strip('"')
        if wanted and (one is None if wanted == "*" else wanted != current):
            raise flat(412, "PreconditionFailed", f"The condition '{wanted}' "
                       "in the If-Match header was not satisfied. The current "
                       f"was '{current}'.")
        if request.header("If-None-Match") == "*" and one is not None:
            raise flat(412, "PreconditionFailed", "The condition '*' in the "
                       "If-None-Match header was not satisfied. The current "
                       "was 'n/a'.")

    def properties(self, request):
        """The record set's properties in a request, well formed."""
        if request.content_type() != "application/json":
            raise nested(415, "UnsupportedMediaType", "The content media type "
                         "is not supported. Only 'application/json' is.")
        try:
            given = request.json()
        except ValueError:
            given = None
        if not isinstance(given, dict) or not isinstance(
                given.get("properties"), dict):
            raise nested(400, "InvalidRequestContent", "The request content "
                         "was invalid and could not be deserialized.")
        unknown = set(given) - {"id", "name", "type", "etag", "properties"}
        unknown |= set(given["properties"]) - set(MEMBERS.values()) - OTHER
        if unknown:
            raise nested(400, "InvalidRequestContent", "Could not find member "
                         f"'{min(unknown)}' on object of type 'RecordSet'.")
        wrong = self.schema and base.schema_error(
            self.schema, "#/definitions/RecordSet",
            {"properties": {k: v for k, v in given["properties"].items()
                            if v is not None}})
        if wrong:
            raise bad(wrong)
        return given["properties"]

    def put(self, request, zone, kind, name):
        old = self.find(zone, kind, name)
        given = self.properties(request)
        self.conditions(request, old)
        return self.store(zone, kind, name, old, given)

    def patch(self, request, zone, kind, name):
        old = self.find(zone, kind, name)
        if old is None:
            raise self.absent(zone, name)
        given = self.properties(request)
        self.conditions(request, old)
        return self.store(zone, kind, name, old,
                          {**old["properties"], **given})

    def delete(self, request, zone, kind, name):
        old = self.find(zone, kind, name)
        self.conditions(request, old)
        if old is None:
            return base.Response(204)
        if old not in zone.records:
            raise bad(f"The record set of type '{kind}' with name '{name}' "
                      "cannot be deleted.")
        zone.records.remove(old)
        self.touch(zone)
        return base.Response(200)

    def store(self, zone, kind, name, old, given):
        if zone.info["kind"] == "Private":
            raise bad("Private zones are edited elsewhere.")
        if name != "@" and not re.fullmatch(rf"({LABEL}\.)*{LABEL}", name):
            raise bad(f"The record set name '{name}' is invalid.")
        kept = {k: v for k, v in given.items()
                if v is not None and k in {"TTL", "metadata", MEMBERS[kind]}}
        self.check_set(kind, name, kept, given)
        self.check_cname(zone, kind, name)
        one = {"name": name, "type": kind, "etag": str(uuid.uuid4()),
               "properties": kept}
        if old in zone.records:
            zone.records[zone.records.index(old)] = one
        elif old is None:
            zone.records.append(one)
        else:
            raise bad("SOA and NS of the zone itself stay as they are here.")
        self.touch(zone)
        return self.set_answer(zone, one, 200 if old else 201)

    def check_set(self, kind, name, kept, given):
        ttl, rows = kept.get("TTL"), kept.get(MEMBERS[kind])
        if type(ttl) is not int or not 1 <= ttl <= 2147483647:
            raise bad("The TTL of the record set is missing or invalid.")
        if any(given.get(m) for m in MEMBERS.values() if m != MEMBERS[kind]):
            raise bad(f"Only {MEMBERS[kind]} belong into this record set.")
        if not rows:
            raise bad("The record set cannot be empty.")
        if isinstance(rows, list):
            if len(rows) > 20:
                raise bad("The maximum number of records in a set is 20.")
            if any(rows.count(row) > 1 for row in rows):
                raise bad("The record set holds the same record twice.")
        if kind == "TXT":
            self.check_txt(rows)
        if kind == "CNAME" and not re.fullmatch(
                rf"({LABEL}\.)*{LABEL}\.?", str(rows.get("cname")).lower()):
            raise bad("The CNAME record is invalid.")

    def check_txt(self, rows):
        total = 0
        for row in rows:
            strings = row.get("value") if isinstance(row, dict) else None
            if not isinstance(strings, list) or not strings or not all(
                    isinstance(s, str) for s in strings):
                raise bad("The value of a TXT record must be an array of "
                          "strings.")
            if any(len(s) > 255 for s in strings):
                raise bad("The value of a TXT string is longer than 255.")
            total += sum(map(len, strings))
        if total > self.max_txt:
            raise bad(f"The TXT record set is longer than {self.max_txt}.")

    def check_cname(self, zone, kind, name):
        if kind == "CNAME" and name == "@":
            raise bad("A CNAME record set cannot be at the zone apex.")
        for one in zone.records:
            if one["name"] == name and one["type"] != kind and "CNAME" in (
                    one["type"], kind):
                raise flat(self.conflict_status, "Conflict", "The "
                           f"{kind} record could not be created because "
                           "another record with the same name exists.")

    # Seeds and DNS

    def put_values(self, zone, name, rtype, values, ttl):
        relative = zone.relative(name)
        made = {"TXT": lambda v: {"value": [v[i:i + 255] for i in
                                            range(0, len(v), 255)] or [""]},
                "A": lambda v: {"ipv4Address": v},
                "AAAA": lambda v: {"ipv6Address": v},
                "NS": lambda v: {"nsdname": v},
                "CNAME": lambda v: {"cname": v.rstrip(".")},
                "MX": lambda v: {"preference": int(v.split()[0]),
                                 "exchange": v.split()[1]}}[rtype]
        one = self.find(zone, rtype, relative)
        rows = [made(v) for v in values]
        if one is None:
            zone.records.append({
                "name": relative, "type": rtype, "etag": str(uuid.uuid4()),
                "properties": {"TTL": ttl, MEMBERS[rtype]:
                               rows[0] if rtype == "CNAME" else rows,
                               "metadata": {"owner": "a stranger"}}})
        else:
            one["etag"] = str(uuid.uuid4())
            one["properties"][MEMBERS[rtype]] += rows

    def rrsets(self, zone):
        text = {"TXT": lambda r: tuple(r["value"]),
                "A": lambda r: r["ipv4Address"],
                "AAAA": lambda r: r["ipv6Address"],
                "NS": lambda r: r["nsdname"].rstrip(".") + ".",
                "CNAME": lambda r: r["cname"].rstrip(".") + ".",
                "MX": lambda r: f"{r['preference']} {r['exchange']}"}
        for one in zone.records:
            if one["type"] in text:
                rows = one["properties"][MEMBERS[one["type"]]]
                rows = rows if isinstance(rows, list) else [rows]
                yield (zone.full(one["name"]), one["type"],
                       one["properties"]["TTL"],
                       [text[one["type"]](row) for row in rows])
