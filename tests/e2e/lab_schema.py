# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The shapes of the report, checked strictly: an unknown member fails.

The members are those of DESIGN.md section 3.  A member that does not apply
yet (a time that has not come, an account that was not needed) is null; it is
not left out.
"""

import datetime
import ipaddress
import json
import re

STATES = {"queued", "published", "visible", "removed", "failed"}
JOB_STATES = STATES | {"partial"}
METHODS = {"dns-01", "dns-account-01", "dns-persist-01", "dns-txt",
           "dns-cname", "http-01", "http-file", "email"}
# DESIGN.md section 7, and two for what none of its words covers: an answer
# that is none (SERVFAIL, garbage), and a family without a route.
DNS_ANSWERS = {"present", "absent", "stale", "stale serial", "refused",
               "lame", "timeout", "bogus", "error", "unreachable"}
CHALLENGE = {"method", "domain", "state", "account", "scope", "record",
             "published", "visible", "attempts", "verdicts", "error"}
VERDICT = {"server", "address", "answer", "ms"}
ERROR = {"code", "text", "retry"}
ORDER = ["queued", "published", "visible", "removed"]
ADDRESS = re.compile(r"^\[?([0-9a-fA-F.:]+?)\]?(?:[:#@](\d+))?$")


def _no_twice(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"a member is there twice: {names}"
    return dict(pairs)


def loads(line):
    """JSON that refuses duplicate members and NaN."""
    def never(text):
        raise ValueError(f"{text} is no JSON")
    return json.loads(line, object_pairs_hook=_no_twice, parse_constant=never)


def _members(what, thing, wanted):
    assert isinstance(thing, dict), f"{what} is no object: {thing!r}"
    unknown = set(thing) - wanted
    missing = wanted - set(thing)
    assert not unknown, f"{what}: unknown members {sorted(unknown)}"
    assert not missing, f"{what}: members missing {sorted(missing)}"


def check_time(what, text):
    """An RFC 3339 time in UTC."""
    if text is None:
        return
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text), \
        f"{what}: {text!r} is no RFC 3339 time in UTC"
    datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def check_address(text):
    """192.0.2.1, or with a port where it is not the usual one."""
    bare = text
    if text.count(":") < 2 or text.startswith("["):
        found = ADDRESS.match(text)
        assert found, f"verdict: {text!r} is no address"
        bare = found.group(1)
    ipaddress.ip_address(bare)


def check_error(error):
    _members("error", error, ERROR)
    assert isinstance(error["code"], str) and re.fullmatch(
        r"[a-z][a-z0-9-]*", error["code"]), error
    assert isinstance(error["text"], str) and error["text"], error
    assert "\n" not in error["text"], error
    assert isinstance(error["retry"], bool), error


def check_verdict(verdict, dns=True):
    _members("verdict", verdict, VERDICT)
    assert isinstance(verdict["server"], str) and verdict["server"], verdict
    check_address(verdict["address"])
    assert isinstance(verdict["answer"], str) and verdict["answer"], verdict
    if dns:
        assert verdict["answer"] in DNS_ANSWERS, verdict
    ms = verdict["ms"]
    assert ms is None or (isinstance(ms, (int, float)) and
                          not isinstance(ms, bool) and ms >= 0), verdict


def check_challenge(one):
    _members("challenge", one, CHALLENGE)
    assert one["method"] in METHODS, one
    assert isinstance(one["domain"], str) and one["domain"], one
    assert one["state"] in STATES, one
    for member in ("account", "scope", "record"):
        assert one[member] is None or (
            isinstance(one[member], str) and one[member]), one
    check_time("published", one["published"])
    check_time("visible", one["visible"])
    assert isinstance(one["attempts"], int) and one["attempts"] >= 0, one
    assert isinstance(one["verdicts"], list), one
    for verdict in one["verdicts"]:
        check_verdict(verdict, not one["method"].startswith("http-"))
    if one["state"] == "failed":
        assert one["error"] is not None, one
    if one["error"] is not None:
        check_error(one["error"])
    if one["state"] == "visible":
        assert one["visible"] is not None, one


def expected_state(states):
    """The job's state that follows from its challenges' states."""
    states = list(states)
    if all(state == "failed" for state in states):
        return {"failed"}
    if "failed" in states:
        return {"partial"}
    return {min(states, key=ORDER.index)}


def check_report(report):
    """One report, whole."""
    _members("report", report, {"job", "state", "challenges"})
    assert isinstance(report["job"], str) and report["job"], report
    assert report["state"] in JOB_STATES, report["state"]
    assert isinstance(report["challenges"], list), report
    assert report["challenges"], "a report without challenges"
    for one in report["challenges"]:
        check_challenge(one)
    assert report["state"] in expected_state(
        one["state"] for one in report["challenges"]), report
    return report


def find_errors(value):
    """Every error object anywhere in a parsed line."""
    if isinstance(value, dict):
        if {"code", "text"} <= set(value):
            return [value]
        return [e for v in value.values() for e in find_errors(v)]
    if isinstance(value, list):
        return [e for v in value for e in find_errors(v)]
    return []
