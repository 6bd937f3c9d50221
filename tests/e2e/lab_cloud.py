# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""What all providers with an HTTP API have to pass, against their fakes.

A test file names its vendor in a Vendor and makes a class of CloudTests, one
of its errors a class of CloudErrorTests.
"""
import base64
import os
import pathlib
import re
import signal
import subprocess
import sys
import urllib.parse

import pytest

import lab

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

NAME = "_acme-challenge.example.com"
STRANGER = "stranger-value-of-another-client"
ALIAS = "_33e7aa3e2c6b4a1f9d1e5f60718293a4.example.org"


class Vendor:
    """How a vendor's account is written, and where its fake differs."""

    def __init__(self, module, secrets, records, write, lists, ttl=300,
                 auth_calls=1, credentials=None, right=()):
        self.module = module
        self.secrets = secrets          # options that hold a secret
        self.records = records          # path of the calls that read records
        self.write = write              # (method, path) of a call that adds
        self.lists = lists              # path of the first list of zones
        self.ttl = ttl
        self.auth_calls = auth_calls    # calls that wrong credentials cost
        self.right = right              # (where, value) that is no wrong answer
        self.credentials = credentials or (lambda fake: fake.credentials)


class Cloud:
    """A fake with a placard whose account "cloud" is there."""

    def __init__(self, vendor, directory, fake, credentials=None, **options):
        self.vendor, self.fake = vendor, fake
        self.placard = lab.Placard(directory)
        self.credentials = dict(credentials or vendor.credentials(fake))
        settings = {}
        for name, text in self.credentials.items():
            if name in vendor.secrets:
                settings[name + "-file"] = self.placard.secret_file(
                    name + ".secret", text)
            else:
                settings[name] = text
        self.placard.account("cloud", fake.vendor, endpoint=fake.url,
                             ca_file=fake.ca_file, **settings | options)
        for name in ("example.com", "example.org", "example.net", "example",
                     "badexample.com"):
            self.placard.route(name, "cloud")
        self.placard.servers("%s:%d" % tuple(fake.dns))
        self.before = self.picture()

    def picture(self):
        """All record sets of all zones, in an order of their own."""
        return sorted(
            (zone["id"], one["name"], one["type"], one["ttl"],
             sorted(map(str, one["values"])))
            for zone in self.fake.state()["zones"] for one in zone["sets"])

    def unchanged(self):
        assert self.picture() == self.before

    def texts(self, name=NAME):
        return self.fake.values(name, "TXT")

    def forget(self):
        """Empty the log of calls."""
        with self.fake.lock:
            self.fake.log.clear()

    def calls(self):
        """Calls so far, as "METHOD path"."""
        return [f"{r.method} {r.target.partition('?')[0]}"
                for r in self.fake.calls()]

    def canaries(self):
        """Each secret as it may show up: plain, base64, URL-encoded."""
        for name in self.vendor.secrets:
            if name in self.credentials:
                text = self.credentials[name]
                yield text
                yield urllib.parse.quote(text, safe="")
                yield urllib.parse.quote_plus(text)
                for shift in range(3):
                    code = base64.b64encode(b"x" * shift + text.encode())
                    yield code[4 if shift else 0:-4].decode()

    def clean(self, *texts):
        """No secret in these texts, nor in the journal."""
        seen = [t if isinstance(t, bytes) else t.encode() for t in texts]
        for name in os.listdir(self.placard.state):
            path = os.path.join(self.placard.state, name)
            seen.append(pathlib.Path(path).read_bytes())
        for canary in self.canaries():
            for text in seen:
                assert canary.encode() not in text, canary


def dns01(domain="example.com", seed="x"):
    return ["-m", "dns-01", "-d", domain, "--value", lab.value(seed)]


@pytest.fixture
def cloud(request, tmp_path):
    """The vendor of the test's class with its standard zones."""
    vendor = request.cls.vendor
    with vendor.module.Fake() as fake:
        yield Cloud(vendor, tmp_path, fake)


def hundred(zones):
    """A job of 100 names in these zones."""
    return lab.job(*[lab.dns01(f"host{n:02}.{zones[n % len(zones)]}",
                               f"v{n}") for n in range(100)], name="many")


class CloudTests:
    vendor = None

    @pytest.mark.quick
    def test_present_visible_cleanup(self, cloud):
        report = cloud.placard.json("present", *dns01()).report
        one = report["challenges"][0]
        assert (one["state"], one["scope"], one["account"]) == (
            "visible", "example.com", "cloud")
        assert cloud.texts() == sorted([STRANGER, lab.value()])
        cloud.placard.ok("cleanup", *dns01())
        cloud.unchanged()
        assert cloud.placard.quiet_journal()

    def test_two_values_at_one_name(self, cloud):
        cloud.placard.ok("present", "--jobs", cloud.placard.job_file(
            lab.job(lab.dns01("example.com", "a"),
                    lab.dns01("*.example.com", "b"))))
        assert cloud.texts() == sorted([STRANGER, lab.value("a"),
                                        lab.value("b")])
        cloud.placard.ok("cleanup", *dns01("example.com", "a"))
        assert cloud.texts() == sorted([STRANGER, lab.value("b")])
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    def test_what_was_there_stays(self, cloud):
        cloud.fake.add_record("example.com", "_acme-challenge", "TXT",
                              lab.value("theirs"), ttl=3600)
        before = cloud.picture()
        there = dns01("example.com", "theirs")
        cloud.placard.ok("present", *there)
        assert cloud.picture() == before
        cloud.placard.ok("cleanup", *there)
        cloud.placard.ok("cleanup", "--all")
        assert cloud.picture() == before

    def test_set_keeps_its_ttl(self, cloud):
        cloud.placard.ok("present", *dns01())
        ttl = {one["ttl"] for zone in cloud.fake.state()["zones"]
               for one in zone["sets"] if (one["name"], one["type"]) == (
                   NAME, "TXT")}
        assert ttl == {3600}

    def test_new_name_with_ttl(self, cloud):
        cloud.placard.ok("present", *dns01("new.example.com"), "--ttl",
                         self.vendor.ttl)
        assert [one["ttl"] for zone in cloud.fake.state()["zones"]
                for one in zone["sets"]
                if one["name"] == "_acme-challenge.new.example.com"] == [
                    self.vendor.ttl]
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    def test_cname(self, cloud):
        what = ["-m", "dns-cname", "-d", "example.org", "--name",
                ALIAS, "--value", "668c.comodoca.com"]
        cloud.placard.ok("present", *what)
        assert cloud.fake.values(ALIAS, "CNAME") == [
            "668c.comodoca.com."]
        cloud.placard.ok("present", *what)
        cloud.placard.ok("cleanup", *what)
        cloud.unchanged()

    def test_apex_token_beside_strangers(self, cloud):
        cloud.placard.ok("present", "-m", "dns-txt", "-d", "example.com",
                         "--value", "ca-token-1234")
        there = cloud.texts("example.com")
        assert "ca-token-1234" in there and len(there) == 3
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    def test_alias_is_followed(self, cloud):
        cloud.placard.ok("present", *dns01("aliased.example.com"))
        assert cloud.texts("_acme-challenge.example.net") == [lab.value()]
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    def test_longest_zone(self, cloud):
        one = cloud.placard.json("present", *dns01(
            "www.child.example.com")).report["challenges"][0]
        assert one["scope"] == "child.example.com"
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    def test_beyond_100_zones(self, tmp_path):
        with self.vendor.module.Fake(bulk=130) as fake:
            cloud = Cloud(self.vendor, tmp_path, fake)
            for name in ("bulk0000", "bulk0101", "bulk0129"):
                cloud.placard.ok("present", "--no-wait",
                                 *dns01(f"{name}.example"))
                assert cloud.texts(f"_acme-challenge.{name}.example") == [
                    lab.value()]
            cloud.placard.ok("cleanup", "--all")
            cloud.unchanged()

    def many(self, cloud, most_up, most_down):
        """100 names in 3 zones; gives the calls up and down."""
        fake, placard = cloud.fake, cloud.placard
        fake.limited = False
        placard.accounts["cloud"]["rate"] = 0
        job = placard.job_file(hundred(
            ["example.com", "example.org", "example.net"]))
        cloud.forget()
        report = placard.json("present", "--jobs", job).report
        assert report["state"] == "visible", report
        up = cloud.calls()
        assert len(up) <= most_up, up
        cloud.forget()
        placard.ok("cleanup", "--job", "many")
        down = cloud.calls()
        assert len(down) <= most_down, down
        cloud.unchanged()
        return up, down

    def test_account_test_changes_nothing(self, cloud):
        done = cloud.placard.ok("account", "test", "cloud")
        assert all(r.method == "GET" or not re.search(
            "add-|delete-|mod-|batch", r.target)
            for r in cloud.fake.calls())
        assert "example.com" in done.out, done
        tested = cloud.placard.json("account", "test", "cloud").objects[0]
        assert tested["works"] is True and tested["more"] is False
        assert tested["zones"] >= len(tested["first"]) > 0
        cloud.clean(done.text())
        cloud.unchanged()

    def test_secrets_stay_inside(self, cloud):
        """Neither in arguments, environment, logs, reports nor journal."""
        seen = []
        cloud.fake.fault("delay", seconds=0.5, path=self.vendor.records)
        proc = cloud.placard.popen("-v", "--json", "present", *dns01())
        while proc.poll() is None:
            for pid in [proc.pid, *lab.workers_of(proc.pid)]:
                for what in ("cmdline", "environ"):
                    try:
                        seen.append(pathlib.Path(
                            f"/proc/{pid}/{what}").read_bytes())
                    except OSError:
                        pass
            try:
                proc.wait(0.05)
            except subprocess.TimeoutExpired:
                pass
        done = cloud.placard.finish(proc)
        assert done.status == 0, done
        assert "method=" in done.err and "status=200" in done.err
        assert "?" not in done.err
        cloud.clean(done.out, done.err, *seen)
        for secret in cloud.canaries():
            assert secret not in " ".join(r.target
                                          for r in cloud.fake.calls())


def shape(fault, **details):
    return pytest.param(fault, details, id="-".join(
        [fault, *[str(v) for v in details.values()]])[:40])


SHAPES = [shape("html"), shape("html", status=502), shape("html", status=403),
          shape("empty"), shape("truncated"), shape("oversized"),
          shape("json", value=[]), shape("json", value={}),
          shape("json", value=None), shape("json", value="text"),
          shape("json", value={"result": 7, "success": "yes"}),
          shape("json", value=[[]]), shape("gzip"), shape("cut-before"),
          shape("status", text="no"), shape("status", status=503),
          shape("status", status=418)]


class CloudErrorTests:
    vendor = None
    wrong = {}          # credentials that are refused

    def test_wrong_credentials(self, tmp_path):
        with self.vendor.module.Fake() as fake:
            cloud = Cloud(self.vendor, tmp_path, fake, self.wrong)
            job = cloud.placard.job_file(lab.job(
                lab.dns01("example.com"), lab.dns01("www.example.com"),
                lab.dns01("example.org")))
            done = cloud.placard.json("present", "--jobs", job)
            assert done.status == 4, done
            assert {e["code"] for e in done.errors()} == {"auth"}
            assert len(cloud.calls()) == self.vendor.auth_calls, cloud.calls()
            cloud.forget()
            done = cloud.placard.run("account", "test", "cloud")
            assert done.status == 4, done
            assert len(cloud.calls()) == self.vendor.auth_calls
            cloud.clean(done.text())
            cloud.unchanged()

    def test_unknown_zone(self, cloud):
        done = cloud.placard.json("present", *dns01("nowhere.test.example"))
        assert done.status == 1, done
        assert {e["code"] for e in done.errors()} == {"no-zone"}

    def test_label_border(self, cloud):
        done = cloud.placard.json("present", *dns01("badexample.com"))
        assert done.status == 1, done
        cloud.unchanged()

    @pytest.mark.parametrize("where", ["lists", "records"])
    def test_too_fast(self, cloud, where):
        cloud.fake.fault("throttle", retry_after=1,
                         path=getattr(self.vendor, where))
        cloud.placard.ok("present", *dns01())
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    def test_storm_passes(self, cloud):
        cloud.fake.fault("status", status=500, count=2,
                         path=self.vendor.lists)
        cloud.fake.fault("status", status=503, count=2,
                         path=self.vendor.records)
        method, path = self.vendor.write
        cloud.fake.fault("status", status=502, count=1, method=method,
                         path=path)
        cloud.placard.ok("present", *dns01())
        assert cloud.texts() == sorted([STRANGER, lab.value()])
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    def test_storm_lasts(self, cloud):
        cloud.fake.fault("status", status=500, count=None)
        done = cloud.placard.json("present", *dns01(), "--timeout", 20)
        assert done.status == 6, done
        assert {e["code"] for e in done.errors()} == {"network"}
        cloud.fake.faults.clear()
        cloud.placard.run("cleanup", "--all")
        cloud.unchanged()

    @pytest.mark.parametrize("fault, details", SHAPES)
    @pytest.mark.parametrize("where", ["lists", "records"])
    def test_wrong_answer(self, cloud, where, fault, details):
        """Nothing is believed of it, and nothing of it is shown."""
        if (where, details.get("value", self)) in self.vendor.right:
            pytest.skip("means something to this vendor")
        path = getattr(self.vendor, where)
        cloud.fake.fault(fault, count=None, path=path, **details)
        done = cloud.placard.json("present", *dns01(), "--timeout", 15)
        assert done.status != 0, done
        assert "Bad gateway" not in done.text()
        for error in done.errors():
            assert error["code"] in ("network", "protocol", "no-zone",
                                     "refused"), error
        cloud.unchanged()
        cloud.fake.faults.clear()
        cloud.placard.ok("present", *dns01())
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    @pytest.mark.parametrize("fault", ["cut-after", "truncated"])
    def test_answer_lost_after_write(self, cloud, fault):
        method, path = self.vendor.write
        cloud.fake.fault(fault, method=method, path=path)
        cloud.placard.ok("present", *dns01("new.example.com"))
        assert cloud.texts("_acme-challenge.new.example.com") == [
            lab.value()]
        assert len(cloud.fake.calls(method, path)) == 1
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    def test_500_after_write(self, cloud):
        method, path = self.vendor.write
        cloud.fake.fault("status", status=500, method=method, path=path,
                         work=True)
        cloud.placard.ok("present", *dns01("new.example.com"))
        assert cloud.texts("_acme-challenge.new.example.com") == [
            lab.value()]
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_redirect(self, cloud, status):
        with self.vendor.module.Fake(ca=cloud.fake.ca) as other:
            cloud.fake.fault("redirect", count=None, status=status,
                             to=other.url + "/stolen")
            done = cloud.placard.json("present", *dns01(), "--timeout", 15)
            assert done.status in (1, 6), done
            assert other.calls() == [] and other.open_connections() == 0
        cloud.unchanged()

    @pytest.mark.crash
    @pytest.mark.parametrize("step", ["records", "write"])
    def test_killed(self, cloud, step):
        """Killed while a call is under way; the journal knows enough."""
        method, path = (None, self.vendor.records)
        if step == "write":
            method, path = self.vendor.write
        cloud.fake.fault("stall" if step == "records" else "stall-body",
                         method=method, path=path)
        proc = cloud.placard.popen("present", *dns01())
        lab.wait_for(lambda: cloud.fake.calls(method, path), "the call")
        workers = lab.workers_of(proc.pid)
        proc.send_signal(signal.SIGKILL)
        cloud.placard.finish(proc)
        for pid in workers:
            lab.wait_for(lambda pid=pid: not os.path.exists(f"/proc/{pid}"),
                         "the worker's end", 20)
        if step == "write":
            assert lab.value() in cloud.texts()
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()
        assert cloud.placard.quiet_journal()
        cloud.clean()

    @pytest.mark.crash
    def test_worker_killed(self, cloud):
        """A worker that dies in a call is replaced; nothing is doubled."""
        method, path = self.vendor.write
        cloud.fake.fault("stall-body", method=method, path=path)
        proc = cloud.placard.popen("present", *dns01())
        lab.wait_for(lambda: cloud.fake.calls(method, path), "the call")
        for pid, name in lab.workers_of(proc.pid).items():
            if name == "placard-http":
                os.kill(pid, signal.SIGKILL)
        done = cloud.placard.finish(proc)
        assert done.status == 0, done
        assert cloud.texts() == sorted([STRANGER, lab.value()])
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    def test_plain_http_elsewhere(self, cloud):
        cloud.placard.accounts["far"] = {
            **cloud.placard.accounts["cloud"], "endpoint": "http://192.0.2.1"}
        done = cloud.placard.run("account", "test", "far")
        assert done.status == 3, done
        assert "https" in done.text()

    def test_unknown_authority(self, cloud):
        with self.vendor.module.Fake(seed="none") as other:
            cloud.placard.accounts["cloud"]["ca-file"] = other.ca_file
            done = cloud.placard.json("present", *dns01(), "--timeout", 15)
            assert done.status == 6, done
            assert re.search("TLS|certificate", done.text()), done
            assert cloud.calls() == []
