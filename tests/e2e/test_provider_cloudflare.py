# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard with cloudflare accounts, against the vendor's fake."""
import sys

import pytest

import lab
from lab_cloud import Cloud, CloudTests, Vendor, cloud, dns01  # noqa: F401

from fakes import cloudflare  # noqa: E402

VENDOR = Vendor(cloudflare, ("api-key", "api-token"), r"/dns_records\?",
                ("POST", "/dns_records"), r"/zones\?",
                credentials=lambda fake: {"email": fake.email,
                                          "api-key": fake.key})


def token(fake, name="full"):
    return {"api-token": fake.tokens[name]["value"]}


class TestCloudflare(CloudTests):
    vendor = VENDOR

    @pytest.mark.big
    def test_many(self, cloud):
        """One read and one batch a zone, beside the list of zones, and
        the zone's id for each worker."""
        up, down = self.many(cloud, 9, 9)
        assert sum("batch" in one for one in up) == 3
        assert sum("batch" in one for one in down) == 3

    def test_token(self, tmp_path):
        with cloudflare.Fake() as fake:
            one = Cloud(VENDOR, tmp_path, fake, token(fake))
            one.placard.ok("present", *dns01())
            one.placard.ok("cleanup", "--all")
            one.unchanged()
            assert not any(r.header("X-Auth-Key") for r in fake.calls())

    def test_scoped_token(self, tmp_path):
        with cloudflare.Fake() as fake:
            one = Cloud(VENDOR, tmp_path, fake, token(fake, "scoped"))
            one.placard.ok("present", *dns01())
            done = one.placard.json("present", *dns01("example.org"))
            assert done.status == 1, done
            assert {e["code"] for e in done.errors()} == {"no-zone"}

    def test_zone_id(self, tmp_path):
        """With it no other zone is asked for, and duplicates are no more."""
        with cloudflare.Fake() as fake:
            zone = fake.zone("ambiguous.example", account="a" * 32)
            one = Cloud(VENDOR, tmp_path, fake, zone_id=zone.id)
            one.placard.ok("present", *dns01("www.ambiguous.example"))
            assert not fake.calls("GET", r"/zones\?")
            assert fake.values("_acme-challenge.www.ambiguous.example",
                               "TXT", zone) == [lab.value()]
            one.placard.ok("cleanup", "--all")
            one.unchanged()

    def test_pending_twin_is_passed_over(self, cloud):
        cloud.placard.ok("present", *dns01("twice.example"))
        zone = cloud.fake.zone("twice.example", status="active")
        assert cloud.fake.values("_acme-challenge.twice.example", "TXT",
                                 zone) == [lab.value()]
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    @pytest.mark.parametrize("quoted", [True, False])
    def test_quoted_or_not(self, tmp_path, quoted):
        """A value is found and removed however its content was written."""
        with cloudflare.Fake(quoted_equal=quoted) as fake:
            one = Cloud(VENDOR, tmp_path, fake)
            zone = fake.zone("example.org")
            one.placard.ok("present", *dns01("example.org"))
            assert [r["content"] for r in zone.records] == [
                f'"{lab.value()}"']
            zone.records[0]["content"] = lab.value()
            one.placard.ok("present", *dns01("example.org"))
            assert len(zone.records) == 1
            one.placard.ok("cleanup", "--all")
            one.unchanged()

    def test_long_value(self, cloud):
        value = "ca-token-" + "with-\"marks\"-and-\\-" * 20
        cloud.placard.ok("present", "-m", "dns-txt", "-d", "example.org",
                         "--value", value)
        assert cloud.texts("example.org") == [value]
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    @pytest.mark.big
    def test_batches_to_the_limit(self, cloud):
        """450 names: three batches, 200 at most in each."""
        job = cloud.placard.job_file(lab.job(
            *[lab.dns01(f"h{n}.example.com", f"v{n}") for n in range(450)]))
        cloud.placard.ok("present", "--jobs", job)
        assert [len(r.json()["posts"]) for r in cloud.fake.calls(
            "POST", "/batch")] == [200, 200, 50]
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    def test_without_batch(self, cloud):
        """An account without that endpoint: one by one."""
        cloud.fake.has_batch = False
        job = cloud.placard.job_file(lab.job(
            *[lab.dns01(f"h{n}.example.com", f"v{n}") for n in range(20)]))
        cloud.placard.ok("present", "--jobs", job)
        assert len(cloud.fake.calls("POST", "/dns_records$")) == 20
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    def test_stranger_between_look_and_add(self, cloud):
        """What somebody adds meanwhile makes an add a success, not an
        error, and one bad change does not spoil the others."""
        job = cloud.placard.job_file(lab.job(
            lab.dns01("aliased.example.com", "a"),
            *[lab.dns01(f"h{n}.example.com", f"v{n}") for n in range(20)]))
        cloud.placard.ok("present", "--jobs", job)
        assert cloud.texts("_acme-challenge.example.net") == [lab.value("a")]
        assert cloud.texts("_acme-challenge.h7.example.com") == [
            lab.value("v7")]
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()
