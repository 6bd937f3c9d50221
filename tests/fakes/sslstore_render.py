# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""How the fake store spells its answers: the moods.

Answers are built with true types and Date objects; render() turns them into
what goes over the wire in the spelling that the moods ask for.
"""

import datetime
import itertools
import json
import urllib.parse

# name -> allowed values, the first is the one at the start
MOODS = {
    "is_error": ("bool", "text", "number", "numtext"),
    "booleans": ("bool", "text"),
    "numbers": ("number", "text"),
    "message": ("auto", "null", "array", "string"),
    "empty_arrays": ("auto", "null", "array"),
    "vetting": ("full", "null", "omit"),
    "vetting_domain": ("name", "empty-main"),
    "unused": ("auto", "null", "empty"),
    "dates": ("auto", "us", "uk", "iso", "ms", "mix"),
    "no_date": ("auto", "empty", "null", "1900", "0001"),
    "ids": ("text", "number", "null"),
    "pem": ("plain", "percent", "percent-form"),
    "pem_eol": ("crlf", "lf"),
    "blanks": ("plus", "blank"),
    "slashes": ("plain", "escaped"),
    "file_eol": ("crlf", "lf"),
    "file_name": ("bare", "path", "url"),
    "record_name": ("full", "short", "dot"),
    "files": ("root-first", "leaf-first", "shuffle", "bundle", "no-root",
              "mixed-bundle"),
    "certificates": ("normal", "empty", "null", "blank"),
    "not_ready": ("error", "empty", "null"),
    "query_error": ("array", "object"),
    "query_detail": ("full", "lean"),
    "country": ("code", "name"),
    "words": ("auto", "upper", "lower"),
    "dns_names": ("auto", "sans", "all"),
    "replay": ("echo", "null", "empty"),
    "revoke_envelope": ("bare", "wrapped"),
    "extra_members": ("no", "yes"),
    "approver_junk": ("no", "yes"),
    "approver_list": ("array", "null"),
    "address_case": ("lower", "mixed"),
}

ZONE = -5 * 3600        # of the dates without InUTC
_NONE = {"empty": "", "null": None, "1900": "1/1/1900 12:00:00 AM",
         "0001": "0001-01-01T00:00:00"}
_EMPTYABLE = ("DomainAuthVettingStatus", "AuthenticationStatuses",
              "OrderNotes", "Certificates")
COUNTRIES = {"US": "United States", "GB": "United Kingdom", "DE": "Germany",
             "CA": "Canada", "AU": "Australia", "FR": "France"}


def defaults():
    return {name: allowed[0] for name, allowed in MOODS.items()}


class Date:
    """A moment in epoch seconds, or None for none."""

    __slots__ = ("seconds", "utc")

    def __init__(self, seconds, utc=True):
        self.seconds = seconds
        self.utc = utc


def put_date(doc, name, seconds):
    """A date and its twin in UTC."""
    doc[name] = Date(seconds, False)
    doc[name + "InUTC"] = Date(seconds)


def _us(when):
    hour = when.hour % 12 or 12
    return "%d/%d/%d %d:%02d:%02d %s" % (
        when.month, when.day, when.year, hour, when.minute, when.second,
        "AM" if when.hour < 12 else "PM")


def _uk(when):
    return "%d/%d/%d %02d:%02d:%02d" % (
        when.day, when.month, when.year, when.hour, when.minute, when.second)


def timestamp(seconds):
    """AuthResponse.Timestamp: seven digits behind the second."""
    when = datetime.datetime.utcfromtimestamp(seconds)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


class Renderer:
    """One answer in one set of moods."""

    def __init__(self, moods, culture="en-US", count=itertools.count()):
        self.moods = moods
        self.count = count
        self.dates = moods["dates"]
        if self.dates == "auto":
            self.dates = "us" if culture in ("", None, "en-US") else "uk"

    def date(self, date):
        if date.seconds is None:
            form = self.moods["no_date"]
            if form == "auto":
                form = "empty"
            return _NONE[form]
        form = self.dates
        if form == "mix":
            form = ("us", "iso", "ms")[next(self.count) % 3]
        if form == "ms":
            return "/Date(%d)/" % int(date.seconds * 1000)
        when = datetime.datetime.utcfromtimestamp(
            int(date.seconds) + (0 if date.utc else ZONE))
        if form == "iso":
            return when.strftime("%Y-%m-%dT%H:%M:%S") + (
                "Z" if date.utc else "")
        return _us(when) if form == "us" else _uk(when)

    def is_error(self, value):
        return {"bool": value, "text": str(value).lower(),
                "number": int(value), "numtext": str(int(value)),
                }[self.moods["is_error"]]

    def message(self, value):
        form = self.moods["message"]
        if form == "string" or (form == "null" and value):
            return value[0] if value else ""
        if value:
            return value
        return [] if form == "array" else None

    def list(self, value, key):
        if not value and key in _EMPTYABLE:
            if self.moods["empty_arrays"] == "null":
                return None
        return [self.walk(v, key) for v in value]

    def dict(self, value):
        out = {k: self.walk(v, k) for k, v in value.items()}
        if self.moods["extra_members"] == "yes":
            out["XNewMember"] = {"Inner": [1, "two", None]}
        return out

    def walk(self, value, key=""):
        kind = type(value)
        if kind is str:
            return value
        if key == "isError":
            return self.is_error(value)
        if key == "Message":
            return self.message(value)
        if kind is dict:
            return self.dict(value)
        if kind is list:
            return self.list(value, key)
        if kind is Date:
            return self.date(value)
        if kind is bool and self.moods["booleans"] == "text":
            return "true" if value else "false"
        if kind in (int, float) and self.moods["numbers"] == "text":
            return str(value)
        if value is None and key in _EMPTYABLE \
                and self.moods["empty_arrays"] == "array":
            return []
        return value

    def text(self, document):
        out = json.dumps(self.walk(document), ensure_ascii=False)
        if self.moods["slashes"] == "escaped":
            out = out.replace("/", "\\/")
        return out


def spell_pem(text, moods):
    """A PEM part as the moods want it."""
    if moods["pem_eol"] == "crlf":
        text = text.replace("\n", "\r\n")
    if moods["pem"] != "plain":
        safe = "" if moods["pem"] == "percent-form" else "+/="
        text = urllib.parse.quote(text, safe=safe)
    if moods["blanks"] == "blank":
        text = text.replace("+", " ")
    return text


def spell_base64(text, moods):
    return text.replace("+", " ") if moods["blanks"] == "blank" else text


def spell_file(challenge, domain, moods):
    """(file name, content) of a file challenge."""
    name = challenge["file"]
    if moods["file_name"] != "bare":
        name = "/.well-known/pki-validation/" + name
    if moods["file_name"] == "url":
        name = "http://%s%s" % (domain, name)
    end = "\r\n" if moods["file_eol"] == "crlf" else "\n"
    return name, end.join(challenge["lines"])


def spell_record(challenge, domain, moods):
    """(owner, value) of a record challenge."""
    owner, value = challenge["record"], challenge["value"]
    if moods["record_name"] == "dot":
        return owner + ".", value + ("." if challenge["type"] == "CNAME"
                                     else "")
    if moods["record_name"] == "short" and owner == domain:
        return "", value
    if moods["record_name"] == "short" and owner.endswith("." + domain):
        owner = owner[:-len(domain) - 1]
    return owner, value
