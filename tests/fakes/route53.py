# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A stand-in of Amazon Route 53, API 2013-04-01.

Signatures (SigV4) are really checked, bodies are checked against the vendor's
service model (../shared, or the copy inside botocore).

Settings beside base.py's: insync_delay (seconds until GetChange says INSYNC,
0.3), busy_time (seconds after a change in which the next one on that zone is
PriorRequestNotComplete, 0), error_root ("ErrorResponse" or
"InvalidChangeBatch"), skew_code ("SignatureDoesNotMatch" or "RequestExpired"),
xml_quote (how '"' is written in answers: '"', "&quot;", "&#34;"), page_size
(most sets in one answer, 300).  Fault kind beside base.py's: prior-request.

add_zone() members: private, name_servers, served.  add_set() makes sets with a
SetIdentifier or an alias.  fake.keys holds more users: "reader", "one-zone"
(no zone lists; changes TXT sets below _acme-challenge of example.org only),
"temporary" (needs its session token), "expired".
"""
import calendar
import collections
import hashlib
import hmac
import json
import pathlib
import re
import secrets
import string
import time
import urllib.parse
import xml.etree.ElementTree as ET
import xml.sax.saxutils

import botocore

from . import base
from .base import Response

PREFIX = "/2013-04-01/"
NAMESPACE = "https://route53.amazonaws.com/doc/2013-04-01/"
MODEL = "data/route53/2013-04-01/service-2.json"
REGION, SERVICE = "us-east-1", "route53"
SKEW = 300
ROUTING = ("SetIdentifier", "Weight", "Region", "GeoLocation", "Failover",
           "MultiValueAnswer")


def escape_name(name):
    """As the service shows a name: octal escapes, final dot."""
    return re.sub(r"[^a-z0-9_.-]",
                  lambda m: f"\\{ord(m.group()):03o}", name) + "."


def read_name(text):
    """Lower-case name without escapes and final dot."""
    plain = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), text)
    return plain.lower().rstrip(".")


def order(name):
    """The service's order of names: labels reversed, dot kept."""
    labels = escape_name(name).rstrip(".").split(".")
    return ".".join(reversed(labels)) + "."


def hmac256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Model:
    """Reads request bodies by the vendor's service model."""

    def __init__(self, document):
        self.shapes = document["shapes"]

    def read(self, element, shape_name, path):
        """An element as Python values; anything wrong is a ValueError."""
        shape = self.shapes[shape_name]
        kind = shape["type"]
        if kind == "structure":
            return self.structure(element, shape, path)
        if kind == "list":
            wanted = shape["member"].get("locationName", "member")
            items = [self.read(child, shape["member"]["shape"], path + [tag])
                     for child, tag in self.children(element, path)
                     if self.must(tag == wanted, path + [tag])]
            self.must(len(items) >= shape.get("min", 0), path)
            return items
        self.must(len(element) == 0, path)
        return self.scalar(element.text or "", shape, path)

    @staticmethod
    def must(good, path):
        if not good:
            raise ValueError("Invalid XML ; element " + "/".join(path))
        return True

    def children(self, element, path):
        self.must(not (element.text or "").strip(), path)
        for child in element:
            namespace, _, tag = child.tag.rpartition("}")
            self.must(namespace == "{" + NAMESPACE, path + [tag])
            yield child, tag

    def structure(self, element, shape, path):
        members = {m.get("locationName", name): (name, m["shape"])
                   for name, m in shape["members"].items()
                   if "location" not in m}
        found = {}
        for child, tag in self.children(element, path):
            self.must(tag in members and members[tag][0] not in found,
                      path + [tag])
            name, member = members[tag]
            found[name] = self.read(child, member, path + [tag])
        for name in shape.get("required", []):
            if "location" not in shape["members"][name]:
                self.must(name in found, path + [name])
        return found

    def scalar(self, text, shape, path):
        if shape["type"] in ("long", "integer"):
            self.must(re.fullmatch(r"-?\d{1,18}", text), path)
            size = value = int(text)
        elif shape["type"] == "boolean":
            self.must(text in ("true", "false"), path)
            return text == "true"
        else:
            size, value = len(text), text
            self.must(text in shape.get("enum", [text]), path)
            if "pattern" in shape:
                self.must(re.fullmatch(shape["pattern"], text), path)
        self.must(shape.get("min", size) <= size <= shape.get("max", size),
                  path)
        return value


def quote(text):
    """Raw text as a TXT value."""
    parts = [text[i:i + 255] for i in range(0, len(text), 255)] or [""]
    return " ".join('"' + re.sub(r'(["\\])', r"\\\1", part) + '"'
                    for part in parts)


def txt_strings(value):
    """The strings of a TXT value; a ValueError says what is wrong."""
    if not re.fullmatch(r'\s*"(?:[^"\\]|\\.)*"(?:\s+"(?:[^"\\]|\\.)*")*\s*',
                        value):
        raise ValueError("InvalidTXTRDATA (Value should be enclosed in "
                         "quotation marks)")
    found = []
    for quoted in re.findall(r'"((?:[^"\\]|\\.)*)"', value):
        plain = re.sub(r"\\([0-7]{3}|.)", lambda m: chr(int(m.group(1), 8))
                       if len(m.group(1)) == 3 else m.group(1), quoted)
        if any(ord(c) > 255 for c in plain):
            raise ValueError("InvalidTXTRDATA (Value contains invalid "
                             "characters)")
        if len(plain.encode()) > 255:
            raise ValueError("CharacterStringTooLong (Value is too long)")
        found.append(plain)
    return tuple(found)


class Fake(base.BaseFake):
    vendor = "route53"
    hosts = ("route53.amazonaws.com",)
    control_settings = base.BaseFake.control_settings | {
        "insync_delay", "busy_time", "error_root", "skew_code", "xml_quote",
        "page_size"}
    extra_faults = {"prior-request"}
    insync_delay = 0.3
    busy_time = 0.0
    error_root = "ErrorResponse"
    skew_code = "SignatureDoesNotMatch"
    xml_quote = '"'
    page_size = 300

    def start(self):
        self.schema = base.shared_spec("aws-route53/service-2.json")
        if not self.schema:
            copy = pathlib.Path(botocore.__file__).parent / MODEL
            self.schema = json.loads(copy.read_text())
        self.model = Model(self.schema)
        self.bucket = base.Bucket(5, 1)
        self.changes = {}
        self.busy = {}
        self.keys = {name: {
            "id": ("ASIA" if name in ("temporary", "expired") else "AKIA")
            + self.random(16), "secret": base.secret(40),
            "actions": None, "token": None, "changes": None}
            for name in ("admin", "reader", "one-zone", "temporary",
                         "expired")}
        self.keys["temporary"]["token"] = secrets.token_urlsafe(120) + "/+=="
        self.keys["expired"]["token"] = secrets.token_urlsafe(120)
        self.keys["reader"]["actions"] = {
            "ListHostedZones", "ListHostedZonesByName", "GetHostedZone",
            "ListResourceRecordSets", "GetChange"}
        self.keys["one-zone"]["actions"] = {
            "GetHostedZone", "ListResourceRecordSets", "GetChange",
            "ChangeResourceRecordSets"}
        self.keys["one-zone"]["changes"] = (
            "TXT", r"_acme-challenge\.(.*\.)?example\.org")
        self.credentials = {
            "access-key-id": self.keys["admin"]["id"],
            "secret-access-key": self.keys["admin"]["secret"]}

    @staticmethod
    def random(length):
        return "".join(secrets.choice(string.ascii_uppercase + string.digits)
                       for _ in range(length))

    def new_zone_id(self):
        return "Z" + self.random(19)

    def zone_info(self, name, info):
        return {"private": False, **info}

    def name_servers(self, zone):
        return zone.info.get("name_servers", [
            "ns-1.awsdns-01.com", "ns-2.awsdns-02.net",
            "ns-3.awsdns-03.org", "ns-4.awsdns-04.co.uk"])

    def seed_oddities(self):
        self.add_zone("example.com", private=True, served=False)
        self.add_zone("private.example", private=True, served=False)
        self.add_zone("twice.example")
        self.add_zone("twice.example", served=False,
                      name_servers=["ns-9.awsdns-09.com",
                                    "ns-8.awsdns-08.net"])
        self.add_zone("routed.example")
        for number in ("one", "two"):
            self.add_set("routed.example", "_acme-challenge", "TXT",
                         [f'"{number}"'], MultiValueAnswer=True,
                         SetIdentifier=number)
        self.add_set("routed.example", "www", "A", [], AliasTarget={
            "HostedZoneId": "Z2FDTNDATAQYW2", "EvaluateTargetHealth": False,
            "DNSName": "d111111abcdef8.cloudfront.net."})

    def put_values(self, zone, name, rtype, values, ttl):
        if rtype == "TXT":
            values = [quote(v) for v in values]
        for one in zone.records:
            if self.identity(one) == (name, rtype, None):
                one["values"] = one["values"] + values
                return
        zone.records.append({"name": name, "Type": rtype, "TTL": ttl,
                             "values": values})

    def add_set(self, zone, name, rtype, values, ttl=300, **members):
        """A set with more members (SetIdentifier, AliasTarget, ...)."""
        with self.lock:
            zone = self.zone(zone)
            made = {"name": zone.full(name), "Type": rtype, **members}
            if "AliasTarget" not in members:
                made.update(TTL=ttl, values=values)
            zone.records.append(made)
            self.touch(zone)

    def own_sets(self, zone):
        """All sets of a zone, with its SOA and NS, in the service's order."""
        servers = [ns + "." for ns in self.name_servers(zone)]
        own = [{"name": zone.name, "Type": "NS", "TTL": 172800,
                "values": servers},
               {"name": zone.name, "Type": "SOA", "TTL": 900, "values": [
                   servers[0] + " awsdns-hostmaster.amazon.com. 1 7200 900 "
                   "1209600 86400"]}]
        return sorted(own + zone.records, key=self.set_key)

    @staticmethod
    def set_key(one):
        return order(one["name"]), one["Type"], one.get("SetIdentifier", "")

    def rrsets(self, zone):
        for one in self.own_sets(zone):
            if "values" in one:
                yield one["name"], one["Type"], one["TTL"], [
                    txt_strings(v) if one["Type"] == "TXT" else v
                    for v in one["values"]]

    # XML

    def text(self, value):
        if isinstance(value, bool):
            return "true" if value else "false"
        return xml.sax.saxutils.escape(str(value)).replace(
            '"', self.xml_quote)

    def element(self, name, content):
        if isinstance(content, dict):
            content = list(content.items())
        if isinstance(content, list):
            inner = "".join(self.element(n, c) for n, c in content)
        else:
            inner = self.text(content)
        return f"<{name}>{inner}</{name}>"

    def xml(self, root, content, status=200):
        body = self.element(root, content).replace(
            f"<{root}>", f'<{root} xmlns="{NAMESPACE}">', 1)
        return Response(status, '<?xml version="1.0"?>\n' + body,
                        {"x-amzn-RequestId": self.request_id()}, "text/xml")

    @staticmethod
    def request_id():
        return "-".join(secrets.token_hex(n) for n in (4, 2, 2, 2, 6))

    def refusal(self, status, code, message):
        return self.xml("ErrorResponse", [
            ("Error", {"Type": "Sender" if status < 500 else "Receiver",
                       "Code": code, "Message": message}),
            ("RequestId", self.request_id())], status)

    def invalid(self, message):
        return self.refusal(400, "InvalidInput", message)

    def bad_batch(self, messages):
        if self.error_root == "InvalidChangeBatch":
            return self.xml("InvalidChangeBatch", [
                ("Messages", [("Message", m) for m in messages]),
                ("RequestId", self.request_id())], 400)
        return self.refusal(400, "InvalidChangeBatch",
                            "[" + ", ".join(messages) + "]")

    def too_fast(self, seconds):
        return self.refusal(400, "Throttling", "Rate exceeded")

    def prior_request(self):
        return self.refusal(
            400, "PriorRequestNotComplete", "The request was rejected because "
            "Route 53 was still processing a prior request.")

    def vendor_fault(self, kind, **details):
        return self.prior_request()

    # Signatures

    def authenticate(self, request):
        """Check the signature; returns the key's record."""
        given = request.header("Authorization")
        if not given:
            raise self.refusal(403, "MissingAuthenticationToken",
                               "Missing Authentication Token")
        match = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/"
            r"aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?"
            r"Signature=([0-9a-f]{64})", given)
        stamp = request.header("X-Amz-Date") or ""
        if not match or not re.fullmatch(r"\d{8}T\d{6}Z", stamp):
            raise self.refusal(400, "IncompleteSignature",
                               "Authorization header is incomplete")
        key_id, day, region, service, signed, signature = match.groups()
        key = next((k for k in self.keys.values() if k["id"] == key_id), None)
        if key is None or (request.header("X-Amz-Security-Token")
                           != key["token"]):
            raise self.refusal(403, "InvalidClientTokenId", "The security "
                               "token included in the request is invalid.")
        if key is self.keys["expired"]:
            raise self.refusal(403, "ExpiredToken", "The security token "
                               "included in the request is expired")
        if (day, region, service) != (stamp[:8], REGION, SERVICE):
            raise self.refusal(403, "SignatureDoesNotMatch", "Credential "
                               f"should be scoped to a valid region: {REGION}"
                               f" and service: {SERVICE}")
        self.check_signed(request, signed.split(";"))
        self.check_clock(stamp)
        scope = f"{day}/{region}/{service}/aws4_request"
        wanted = self.sign(request, key["secret"], stamp, scope, signed)
        if not hmac.compare_digest(wanted, signature):
            raise self.refusal(403, "SignatureDoesNotMatch", "The request "
                               "signature we calculated does not match the "
                               "signature you provided. Check your AWS "
                               "Secret Access Key and signing method.")
        return key

    def check_signed(self, request, signed):
        needed = {"host"} | {name.lower() for name in request.headers
                             if name.lower().startswith("x-amz-")
                             or name.lower() == "content-type"}
        if signed != sorted(set(signed)) or not needed <= set(signed):
            raise self.refusal(403, "SignatureDoesNotMatch", "SignedHeaders "
                               "must be sorted and hold "
                               + ";".join(sorted(needed)))

    def check_clock(self, stamp):
        then = calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
        ahead = then - self.now()
        if abs(ahead) > SKEW:
            server = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self.now()))
            how = ("Signature expired: {} is now earlier than {} - 5 min."
                   if ahead < 0 else
                   "Signature not yet current: {} is still later than {} + "
                   "5 min.")
            raise self.refusal(403, self.skew_code, how.format(stamp, server))

    @staticmethod
    def sign(request, secret, stamp, scope, signed):
        def encode(text):
            return urllib.parse.quote(text, safe="-_.~")

        query = []
        for pair in filter(None, request.raw_query.split("&")):
            name, _, value = pair.partition("=")
            query.append((encode(urllib.parse.unquote(name)),
                          encode(urllib.parse.unquote(value))))
        lines = "".join(
            f"{name}:{' '.join((request.header(name) or '').split())}\n"
            for name in signed.split(";"))
        canonical = "\n".join([
            request.method,
            urllib.parse.quote(request.raw_path, safe="/-_.~"),
            "&".join(f"{n}={v}" for n, v in sorted(query)), lines, signed,
            hashlib.sha256(request.body).hexdigest()])
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + secret).encode()
        for part in scope.split("/"):
            key = hmac256(key, part)
        return hmac256(key, text).hex()

    # The way in

    def handle(self, request):
        if not request.raw_path.startswith(PREFIX):
            raise self.refusal(404, "UnknownOperationException", "")
        key = self.authenticate(request)
        self.limit(self.bucket, "account")
        parts = request.path[len(PREFIX):].split("/")
        route = (request.method, parts[0], *parts[2:])
        action = {
            ("GET", "hostedzone"): "GetHostedZone" if len(parts) > 1
            else "ListHostedZones",
            ("GET", "hostedzonesbyname"): "ListHostedZonesByName",
            ("GET", "hostedzone", "rrset"): "ListResourceRecordSets",
            ("POST", "hostedzone", "rrset", ""): "ChangeResourceRecordSets",
            ("GET", "healthcheckcount"): "GetHealthCheckCount",
            ("GET", "change"): "GetChange"}.get(route)
        if action is None or (action in ("GetChange",) and len(parts) != 2):
            raise self.refusal(404, "UnknownOperationException", "")
        resource = "/".join(parts[:2]) if len(parts) > 1 else "*"
        if key["actions"] is not None and action not in key["actions"]:
            raise self.denied(action, resource)
        self.check_args(request, action)
        if action == "GetChange":
            return self.get_change(parts[1])
        if action == "GetHealthCheckCount":
            return self.xml("GetHealthCheckCountResponse",
                            [("HealthCheckCount", 0)])
        if action in ("ListHostedZones", "ListHostedZonesByName"):
            return (self.list_zones if action == "ListHostedZones"
                    else self.list_by_name)(request)
        zone = next((z for z in self.zones if z.id == parts[1]), None)
        if zone is None:
            raise self.refusal(404, "NoSuchHostedZone", "No hosted zone found "
                               f"with ID: {parts[1]}")
        if action == "GetHostedZone":
            return self.get_zone(zone)
        if action == "ListResourceRecordSets":
            return self.list_sets(zone, request)
        return self.change(zone, request, key)

    def denied(self, action, resource):
        return self.refusal(
            403, "AccessDenied", "User: arn:aws:iam::123456789012:user/test is"
            f" not authorized to perform: route53:{action} on resource: "
            f"arn:aws:route53:::{resource} because no identity-based policy "
            f"allows the route53:{action} action")

    def check_args(self, request, action):
        """Refuse query arguments that the model does not have."""
        shape = self.schema["shapes"][
            self.schema["operations"][action]["input"]["shape"]]
        known = {m["locationName"] for m in shape["members"].values()
                 if m.get("location") == "querystring"}
        for name, _ in request.query:
            if name not in known:
                raise self.invalid(f"Unknown argument {name}")

    def max_items(self, request, most):
        text = request.arg("maxitems", str(most))
        if not re.fullmatch(r"\d{1,9}", text) or int(text) < 1:
            raise self.invalid("Invalid value for 'maxitems'")
        return min(int(text), most)

    # Zones

    def zone_xml(self, zone):
        return [("Id", "/hostedzone/" + zone.id),
                ("Name", escape_name(zone.name)),
                ("CallerReference", "ref-" + zone.id),
                ("Config", {"PrivateZone": zone.info["private"]}),
                ("ResourceRecordSetCount", len(self.own_sets(zone)))]

    def get_zone(self, zone):
        more = ("VPCs", [("VPC", {"VPCRegion": REGION, "VPCId": "vpc-1"})]
                ) if zone.info["private"] else (
            "DelegationSet", [("NameServers", [
                ("NameServer", ns) for ns in self.name_servers(zone)])])
        return self.xml("GetHostedZoneResponse", [
            ("HostedZone", self.zone_xml(zone)), more])

    def list_zones(self, request):
        most, marker = self.max_items(request, 100), request.arg("marker")
        rows, start = sorted(self.zones, key=lambda z: z.id), 0
        if marker is not None:
            ids = [z.id for z in rows]
            if marker not in ids:
                raise self.invalid("Invalid marker")
            start = ids.index(marker)
        page, rest = rows[start:start + most], rows[start + most:]
        return self.xml("ListHostedZonesResponse", [
            ("HostedZones", [("HostedZone", self.zone_xml(z)) for z in page]),
            *([("Marker", marker)] if marker else []),
            ("IsTruncated", bool(rest)),
            *([("NextMarker", rest[0].id)] if rest else []),
            ("MaxItems", most)])

    def list_by_name(self, request):
        most, name = self.max_items(request, 100), request.arg("dnsname")
        first_id = request.arg("hostedzoneid")
        if first_id is not None and name is None:
            raise self.invalid("dnsname is needed with hostedzoneid")
        start = (order(read_name(name)) if name else "", first_id or "")
        rows = sorted(((order(z.name), z.id, z) for z in self.zones),
                      key=lambda row: row[:2])
        rows = [row[2] for row in rows if row[:2] >= start]
        page, rest = rows[:most], rows[most:]
        return self.xml("ListHostedZonesByNameResponse", [
            ("HostedZones", [("HostedZone", self.zone_xml(z)) for z in page]),
            *([("DNSName", name)] if name else []),
            *([("HostedZoneId", first_id)] if first_id else []),
            ("IsTruncated", bool(rest)),
            *([("NextDNSName", escape_name(rest[0].name)),
               ("NextHostedZoneId", rest[0].id)] if rest else []),
            ("MaxItems", most)])

    # Sets

    @staticmethod
    def set_xml(one):
        out = [("Name", escape_name(one["name"])), ("Type", one["Type"])]
        out += [(n, one[n]) for n in ROUTING if n in one]
        if "AliasTarget" in one:
            return out + [("AliasTarget", one["AliasTarget"])]
        return out + [("TTL", one["TTL"]), ("ResourceRecords", [
            ("ResourceRecord", {"Value": v}) for v in one["values"]])]

    def list_sets(self, zone, request):
        most = self.max_items(request, self.page_size)
        name, kind = request.arg("name"), request.arg("type")
        identifier = request.arg("identifier")
        types = self.schema["shapes"]["RRType"]["enum"]
        if (kind and not name) or (identifier and not kind) or (
                kind is not None and kind not in types):
            raise self.invalid("The type must come with a name, the "
                               "identifier with both")
        start = (order(read_name(name)) if name else "", kind or "",
                 identifier or "")
        rows = [s for s in self.own_sets(zone) if self.set_key(s) >= start]
        page, rest = rows[:most], rows[most:]
        after = []
        if rest:
            after = [("NextRecordName", escape_name(rest[0]["name"])),
                     ("NextRecordType", rest[0]["Type"])]
            if "SetIdentifier" in rest[0]:
                after.append(("NextRecordIdentifier",
                              rest[0]["SetIdentifier"]))
        return self.xml("ListResourceRecordSetsResponse", [
            ("ResourceRecordSets", [("ResourceRecordSet", self.set_xml(s))
                                    for s in page]),
            ("IsTruncated", bool(rest)), *after, ("MaxItems", most)])

    # Changes

    def change(self, zone, request, key):
        changes = self.read_changes(request)
        self.check_rights(zone, changes, key)
        self.check_size(changes)
        if time.monotonic() < self.busy.get(zone.id, 0):
            raise self.prior_request()
        work, wrong = list(zone.records), []
        self.check_pairs(changes, wrong)
        for action, one in changes:
            problem = self.check_set(zone, one) or self.apply(
                zone, work, action, one)
            if problem:
                wrong.append(problem)
        wrong = wrong or self.check_zone(zone, work)
        if wrong:
            raise self.bad_batch(list(dict.fromkeys(wrong)))
        zone.records = work
        self.touch(zone)
        self.busy[zone.id] = time.monotonic() + self.busy_time
        change_id = "C" + self.random(19)
        self.changes[change_id] = time.monotonic()
        return self.xml("ChangeResourceRecordSetsResponse",
                        [("ChangeInfo", self.info(change_id))])

    def read_changes(self, request):
        try:
            if b"<!DOCTYPE" in request.body:
                raise ValueError("Invalid XML ; DOCTYPE")
            root = ET.fromstring(request.body)
            if root.tag != (f"{{{NAMESPACE}}}"
                            "ChangeResourceRecordSetsRequest"):
                raise ValueError("Invalid XML ; root element")
            read = self.model.read(root, "ChangeResourceRecordSetsRequest", [])
        except (ET.ParseError, ValueError) as error:
            raise self.invalid(str(error)) from None
        changes = []
        for change in read["ChangeBatch"]["Changes"]:
            one = change["ResourceRecordSet"]
            one["name"] = read_name(one.pop("Name"))
            if "AliasTarget" not in one:
                if "ResourceRecords" not in one or "TTL" not in one:
                    raise self.invalid(
                        "Invalid request: Expected exactly one of [AliasTarget"
                        ", all of [TTL, and ResourceRecords]]")
                one["values"] = [r["Value"]
                                 for r in one.pop("ResourceRecords")]
            elif "TTL" in one or "ResourceRecords" in one:
                raise self.invalid("Invalid request: AliasTarget stands alone")
            changes.append((change["Action"], one))
        return changes

    def check_rights(self, zone, changes, key):
        if key["changes"] is None:
            return
        kind, names = key["changes"]
        for _, one in changes:
            if one["Type"] != kind or not re.fullmatch(names, one["name"]):
                raise self.denied("ChangeResourceRecordSets",
                                  "hostedzone/" + zone.id)

    def check_size(self, changes):
        records = characters = 0
        for action, one in changes:
            times = 2 if action == "UPSERT" else 1
            records += times * len(one.get("values", [1]))
            characters += times * sum(map(len, one.get("values", [])))
        if records > 1000:
            raise self.bad_batch(["Number of records limit of 1000 "
                                  "exceeded."])
        if characters > 32000:
            raise self.bad_batch(["RDATA character limit of 32000 "
                                  "exceeded."])

    @staticmethod
    def identity(one):
        return one["name"], one["Type"], one.get("SetIdentifier")

    @staticmethod
    def title(one):
        return f"[name='{escape_name(one['name'])}', type='{one['Type']}'" + (
            f", set identifier='{one['SetIdentifier']}']"
            if "SetIdentifier" in one else "]")

    def check_pairs(self, changes, wrong):
        """One set: one change, or one DELETE before one CREATE."""
        actions = collections.defaultdict(list)
        for action, one in changes:
            actions[self.identity(one)].append(action)
        for (name, kind, _), done in actions.items():
            if len(done) > 1 and done != ["DELETE", "CREATE"]:
                wrong.append("The request contains an invalid set of changes "
                             "for a resource record set "
                             f"'{kind} {escape_name(name)}'")

    def check_set(self, zone, one):
        """What is wrong with a set by itself, or None."""
        name, kind = escape_name(one["name"]), one["Type"]
        if zone.relative(one["name"]) is None:
            return (f"RRSet with DNS name {name} is not permitted in zone "
                    f"{zone.name}.")
        if kind in ("NS", "SOA") and one["name"] == zone.name:
            return f"{kind} of the zone itself is not to be changed here"
        if kind == "CNAME" and one["name"] == zone.name:
            return (f"RRSet of type CNAME with DNS name {name} is not "
                    f"permitted at apex in zone {zone.name}.")
        if "values" not in one:
            return None
        values = one["values"]
        if kind == "CNAME" and len(values) != 1:
            return "CNAME sets hold one value"
        if len(values) > 400:
            return "Too many values in one set: 400 is the most"
        for value in values:
            try:
                if values.count(value) > 1:
                    raise ValueError("Duplicate Resource Record:")
                self.check_value(kind, value)
            except ValueError as error:
                return ("Invalid Resource Record: FATAL problem: "
                        f"{error} encountered with '{value}'")
        return None

    @staticmethod
    def check_value(kind, value):
        if kind in ("TXT", "SPF"):
            txt_strings(value)
        elif kind == "CNAME" and not re.fullmatch(
                r"(?=.{1,254}$)([^\s.\"]{1,63}\.)*[^\s.\"]{1,63}\.?", value):
            raise ValueError("DomainNameIllegal")
        elif kind == "A" and not re.fullmatch(r"(\d{1,3}\.){3}\d{1,3}", value):
            raise ValueError("ARRDATAIllegalIPv4Address")

    def apply(self, zone, work, action, one):
        """Do one change on the list work; returns what is wrong, or None."""
        same = self.identity(one)
        old = next((s for s in work if self.identity(s) == same), None)
        if action == "CREATE" and old is not None:
            return (f"Tried to create resource record set {self.title(one)} "
                    "but it already exists")
        if action == "DELETE":
            if old is None:
                return (f"Tried to delete resource record set "
                        f"{self.title(one)} but it was not found")
            if self.plain(old) != self.plain(one):
                return (f"Tried to delete resource record set "
                        f"{self.title(one)} but the values provided do not "
                        "match the current values")
        if old is not None:
            work.remove(old)
        if action != "DELETE":
            work.append(one)
        return None

    @staticmethod
    def plain(one):
        """A set in a form where order of values does not matter."""
        return {**one, "values": sorted(one.get("values", []))}

    def check_zone(self, zone, work):
        """What must hold when a batch is done."""
        names = collections.defaultdict(list)
        for one in work:
            names[one["name"]].append(one)
        wrong = []
        for name, sets in names.items():
            kinds = {s["Type"] for s in sets}
            if "CNAME" in kinds and len(kinds) > 1:
                wrong.append(f"RRSet of type CNAME with DNS name "
                             f"{escape_name(name)} is not permitted as it "
                             "conflicts with other records with the same DNS "
                             f"name in zone {zone.name}.")
            for kind in kinds:
                routed = [("SetIdentifier" in s) for s in sets
                          if s["Type"] == kind]
                if len(set(routed)) > 1:
                    wrong.append(f"RRSet with DNS name {escape_name(name)}, "
                                 f"type {kind} cannot be created because a "
                                 "simple and a routed set exist beside each "
                                 "other")
        if len(work) > 10000:
            wrong.append("Zone is full: 10000 records")
        return wrong

    def info(self, change_id):
        age = time.monotonic() - self.changes[change_id]
        return {"Id": "/change/" + change_id,
                "Status": "INSYNC" if age >= self.insync_delay else "PENDING",
                "SubmittedAt": time.strftime("%Y-%m-%dT%H:%M:%S.000Z",
                                             time.gmtime(self.now() - age))}

    def get_change(self, change_id):
        if change_id not in self.changes:
            raise self.refusal(404, "NoSuchChange", "Could not find resource "
                               f"with ID: {change_id}")
        return self.xml("GetChangeResponse",
                        [("ChangeInfo", self.info(change_id))])
