# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A stand-in of the ClouDNS HTTP API: every answer is 200.

There is no machine-readable description of this API, so schema is None.

Settings beside base.py's: post_only (refuse credentials in a query, to prove
that a client posts them; fake.leaks lists them in any case), plan (false: no
API in the plan), duplicates ("allow" or "refuse": what adding a record that is
there does is not known), apex_sign (whether host "@" is the apex or refused),
spread (seconds until the last of the four servers has a change).
Fault kind beside base.py's: failed (a "Failed" answer with `text`).

add_zone() members: kind (master, slave, parked, geodns, cloud), status,
cloud_master, served.  fake.users holds identities: "main" (auth-id), "sub"
(sub-auth-id) and "named" (sub-auth-user), the latter two granted some zones.
fake.credentials_of(name) gives their options.
"""
import ipaddress
import re
import time
import urllib.parse

from . import base
from .base import answer

TTLS = [60, 300, 600, 900, 1800, 3600, 21600, 43200, 86400, 172800, 259200,
        604800, 1209600, 2592000]
TYPES = ("A", "AAAA", "MX", "CNAME", "TXT", "NS", "SRV", "CAA", "PTR")
IDENTITIES = ("auth-id", "sub-auth-id", "sub-auth-user")
ROWS = ("10", "20", "30", "50", "100")
LABEL = r"(\*|[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)"
HOST = re.compile(rf"({LABEL}\.)*{LABEL}", re.I)
NO_ZONE = "Missing domain-name"


def failed(text):
    return answer({"status": "Failed", "statusDescription": text})


def success(text, **more):
    return answer({"status": "Success", "statusDescription": text, **more})


class Fake(base.BaseFake):
    vendor = "cloudns"
    hosts = ("api.cloudns.net",)
    control_settings = base.BaseFake.control_settings | {
        "post_only", "plan", "duplicates", "apex_sign", "spread"}
    extra_faults = {"failed"}
    post_only = False
    plan = True
    duplicates = "allow"
    apex_sign = True
    spread = 0.0

    def start(self):
        self.buckets = [base.Bucket(20, 1), base.Bucket(600, 60),
                        base.Bucket(36000, 3600)]
        self.leaks, self.changed = [], {}
        self.next_id = 69469252
        granted = ["example.com", "example.org"]
        self.users = {
            name: {"kind": kind, "id": identity, "zones": zones,
                   "password": base.secret(16) + "&=+%~"}
            for name, kind, identity, zones in [
                ("main", "auth-id", "1234", None),
                ("sub", "sub-auth-id", "5678", granted),
                ("named", "sub-auth-user", "dns-robot", granted)]}
        self.credentials = self.credentials_of("main")

    def credentials_of(self, name):
        user = self.users[name]
        return {user["kind"]: user["id"], "auth-password": user["password"]}

    def state(self):
        return {**super().state(), "leaks": self.leaks}

    # Zones

    def zone_info(self, name, info):
        return {"kind": "master", "status": "1", **info}

    def name_servers(self, zone):
        return [f"dns{n}.cloudns.net" for n in (1, 2, 3, 4)]

    def seed_oddities(self):
        self.add_zone("slave.example", kind="slave")
        self.add_zone("off.example", status="0", served=False)
        self.add_zone("cloud.example", kind="cloud", served=False,
                      cloud_master="example.com")

    def touch(self, zone):
        super().touch(zone)
        self.changed[zone.id] = time.monotonic()

    # The way in

    def too_fast(self, seconds):
        return failed("Request blocked. 127.0.0.1 is sending more than 20 "
                      "requests per second.")

    def vendor_fault(self, kind, text="Internal error"):
        return failed(text)

    def parameters(self, request):
        """Query, form or JSON members; notes credentials in a query."""
        found = dict(request.query)
        leaked = sorted(set(found) & {*IDENTITIES, "auth-password"})
        if leaked:
            self.leaks.append({"path": request.path, "members": leaked})
        if leaked and self.post_only:
            raise failed("Credentials do not belong into a query")
        if request.content_type() == "application/x-www-form-urlencoded":
            found.update(urllib.parse.parse_qsl(
                request.body.decode("utf-8", "replace"),
                keep_blank_values=True))
        elif request.content_type() == "application/json":
            try:
                given = request.json()
            except ValueError:
                given = None
            if not isinstance(given, dict):
                raise failed("Invalid request")
            found.update({n: str(v) for n, v in given.items()})
        return found

    def authenticate(self, given):
        kinds = [kind for kind in IDENTITIES if kind in given]
        kind = kinds[0] if len(kinds) == 1 else "auth-id"
        for user in self.users.values():
            if len(kinds) == 1 and (user["kind"], user["id"],
                                    user["password"]) == (
                    kind, given[kind], given.get("auth-password")):
                return user
        raise failed(f"Invalid authentication, incorrect {kind} or "
                     "auth-password.")

    def handle(self, request):
        match = re.fullmatch(r"/dns/([a-z-]+)\.json", request.raw_path)
        operation = match and getattr(
            self, "op_" + match.group(1).replace("-", "_"), None)
        if operation is None or request.method not in ("GET", "POST"):
            return base.Response(404, "<html>Not found</html>",
                                 kind="text/html")
        for bucket in self.buckets:
            self.limit(bucket, "address")
        given = self.parameters(request)
        self.user = self.authenticate(given)
        if not self.plan:
            raise failed("You don't have access to the HTTP API. Check your "
                         "plan.")
        return operation(given)

    def granted(self, zone):
        return self.user["zones"] is None or zone.name in self.user["zones"]

    def find(self, given, text=NO_ZONE):
        name = given.get("domain-name", "").lower()
        for zone in self.zones:
            if zone.name == name and self.granted(zone):
                return zone
        raise failed(text)

    # Operations on zones

    def op_login(self, given):
        return success("Success login.")

    def op_get_zone_info(self, given):
        zone = self.find(given)
        out = {"name": zone.name, "type": zone.info["kind"], "zone": "domain",
               "status": zone.info["status"]}
        if "cloud_master" in zone.info:
            out["cloud-master"] = zone.info["cloud_master"]
        return answer(out)

    def chosen(self, given):
        search = given.get("search", "").lower()
        return [z for z in self.zones if self.granted(z) and search in z.name]

    @staticmethod
    def page(given, rows, required):
        """One page of rows; both arguments are needed where required."""
        if not required and "rows-per-page" not in given:
            return rows
        if required and not re.fullmatch(r"[1-9]\d*", given.get("page", "")):
            raise failed("Missing required parameter 'page'.")
        if given.get("rows-per-page") not in ROWS:
            raise failed("Wrong or missing required parameter "
                         "'rows-per-page'.")
        number, size = int(given.get("page", "1")), int(given["rows-per-page"])
        return rows[(number - 1) * size:number * size]

    def op_list_zones(self, given):
        return answer([{
            "name": z.name, "type": z.info["kind"], "group": "None",
            "hasBulk": False, "zone": "domain", "status": z.info["status"],
            "serial": str(z.serial), "isUpdated": int(self.spread_to(z) == 4)}
            for z in self.page(given, self.chosen(given), True)])

    def op_get_pages_count(self, given):
        if given.get("rows-per-page") not in ROWS:
            raise failed("Wrong or missing required parameter "
                         "'rows-per-page'.")
        return answer(-(-len(self.chosen(given))
                        // int(given["rows-per-page"])))

    def spread_to(self, zone):
        """How many of the four servers have the zone's last change."""
        age = time.monotonic() - self.changed[zone.id]
        return sum(age >= self.spread * n / 3 for n in range(4))

    def op_update_status(self, given):
        zone = self.find(given)
        there = self.spread_to(zone)
        return answer([{"server": ns, "ip4": f"192.0.2.{n}", "ip6":
                        f"2001:db8::{n}", "updated": n < there}
                       for n, ns in enumerate(self.name_servers(zone))])

    def op_is_updated(self, given):
        return answer(self.spread_to(self.find(given)) == 4)

    def op_update_zone(self, given):
        self.find(given)
        return success("The zone was updated successfully.")

    def op_get_available_ttl(self, given):
        return answer(TTLS)

    # Operations on records

    @staticmethod
    def record_json(record):
        out = {"id": str(record["id"]), "type": record["type"],
               "host": record["host"], "record": record["record"],
               "dynamicurl_status": 0, "failover": "0",
               "ttl": str(record["ttl"]), "status": 1}
        if record["priority"] is not None:
            out["priority"] = record["priority"]
        return out

    def op_records(self, given):
        zone, rows = self.find(given), []
        for record in zone.records:
            if given.get("host") and record["host"] != given["host"].lower():
                continue
            if given.get("host-like", "") not in record["host"]:
                continue
            if given.get("type") in TYPES and given["type"] != record["type"]:
                continue
            rows.append(self.record_json(record))
        rows = self.page(given, rows, False)
        return answer({r["id"]: r for r in rows} or [])

    def op_get_record(self, given):
        zone = self.find(given, "Missing domain name.")
        return answer(self.record_json(self.one(zone, given)))

    @staticmethod
    def one(zone, given):
        for record in zone.records:
            if str(record["id"]) == given.get("record-id"):
                return record
        raise failed("Invalid record-id param.")

    def editable(self, given):
        zone = self.find(given)
        if zone.info["kind"] not in ("master", "geodns"):
            raise failed("You cannot edit the records of a "
                         f"{zone.info['kind']} zone.")
        if zone.info["status"] == "0":
            raise failed("The zone is not active.")
        return zone

    def record(self, kind, given, record_id):
        """A checked record from the parameters of a write."""
        host = given.get("host", "").lower()
        if host == "@" and self.apex_sign:
            host = ""
        if kind not in TYPES:
            raise failed("This record type is not supported.")
        if "host" not in given or (host and not HOST.fullmatch(host)):
            raise failed("Invalid host param.")
        if given.get("ttl") not in map(str, TTLS):
            raise failed("Invalid TTL. Choose from the list of the values we "
                         "support.")
        value = given.get("record", "")
        if not value.strip():
            raise failed("Missing record param.")
        if kind in ("CNAME", "NS", "MX", "PTR") and not HOST.fullmatch(value):
            raise failed("Invalid record param: not a host name.")
        if kind == "A":
            try:
                ipaddress.IPv4Address(value)
            except ValueError:
                raise failed("Invalid record param: not an IPv4 address."
                             ) from None
        return {"id": record_id, "type": kind, "host": host, "record": value,
                "ttl": int(given["ttl"]), "priority": given.get("priority")}

    def conflicts(self, zone, new):
        for old in zone.records:
            if old["host"] != new["host"] or old["id"] == new["id"]:
                continue
            if (old["type"] != new["type"] or new["type"] == "CNAME") and (
                    "CNAME" in (old["type"], new["type"])):
                raise failed("You can't have a CNAME record beside other "
                             "records with the same host.")
            if self.duplicates == "refuse" and (old["type"], old["record"]
                                                ) == (new["type"],
                                                      new["record"]):
                raise failed("The record already exists.")

    def op_add_record(self, given):
        zone = self.editable(given)
        record = self.record(given.get("record-type"), given, self.next_id)
        if record["type"] == "CNAME" and not record["host"]:
            raise failed("You can't have a CNAME record for the root host.")
        self.conflicts(zone, record)
        self.next_id += 1
        zone.records.append(record)
        self.touch(zone)
        return success("The record was added successfully.",
                       data={"id": record["id"]})

    def op_mod_record(self, given):
        zone = self.editable(given)
        old = self.one(zone, given)
        new = self.record(old["type"], given, old["id"])
        self.conflicts(zone, new)
        zone.records[zone.records.index(old)] = new
        self.touch(zone)
        return success("The record was modified successfully.")

    def op_delete_record(self, given):
        zone = self.editable(given)
        zone.records.remove(self.one(zone, given))
        self.touch(zone)
        return success("The record was deleted successfully.")

    # Seeds and DNS

    def put_values(self, zone, name, rtype, values, ttl):
        for value in values:
            priority = None
            if rtype == "MX":
                priority, value = value.split(" ", 1)
            if rtype in ("MX", "CNAME", "NS"):
                value = value.rstrip(".")
            zone.records.append({
                "id": self.next_id, "type": rtype, "record": value,
                "host": zone.relative(name, apex=""), "priority": priority,
                "ttl": min(t for t in TTLS if t >= ttl)})
            self.next_id += 1

    def rrsets(self, zone):
        found = {}
        for record in zone.records:
            kind, value = record["type"], record["record"]
            if kind == "TXT":
                value = tuple(value[i:i + 255]
                              for i in range(0, len(value), 255))
            elif kind in ("CNAME", "NS", "PTR"):
                value += "."
            elif kind == "MX":
                value = f"{record['priority'] or 0} {value}."
            elif kind not in ("A", "AAAA"):
                continue
            found.setdefault((zone.full(record["host"]), kind),
                             [record["ttl"], []])[1].append(value)
        for (name, kind), (ttl, values) in found.items():
            yield name, kind, ttl, values
