# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard with cloudns accounts, against the vendor's fake."""
import pytest

import lab
from lab_cloud import Cloud, CloudTests, Vendor, cloud, dns01  # noqa: F401

from fakes import cloudns  # noqa: E402

VENDOR = Vendor(cloudns, ("auth-password",), "/records.json",
                ("POST", "/add-record"), "/list-zones", right=(("records", []),))


class TestCloudns(CloudTests):
    vendor = VENDOR

    @pytest.mark.big
    def test_many(self, cloud):
        """A call a record, and nothing in a query."""
        up, down = self.many(cloud, 3 + 3 * 5 + 100, 3 + 3 * 5 + 100)
        assert sum("add-record" in one for one in up) == 100
        assert sum("delete-record" in one for one in down) == 100
        assert cloud.fake.leaks == []

    @pytest.mark.parametrize("who", ["sub", "named"])
    def test_other_identities(self, tmp_path, who):
        with cloudns.Fake(post_only=True) as fake:
            one = Cloud(VENDOR, tmp_path, fake, fake.credentials_of(who))
            one.placard.ok("present", *dns01())
            one.placard.ok("cleanup", "--all")
            one.unchanged()
            done = one.placard.json("present", *dns01("example.net"))
            assert done.status == 1, done
            assert {e["code"] for e in done.errors()} == {"no-zone"}

    @pytest.mark.parametrize("asked, given", [
        (1, 60), (60, 60), (61, 300), (3000, 3600), (604800, 604800)])
    def test_ttl_is_rounded_up(self, cloud, asked, given):
        cloud.placard.ok("present", "--no-wait", *dns01("example.org"),
                         "--ttl", asked)
        assert [r["ttl"] for r in cloud.fake.zone("example.org").records] == [
            given]

    @pytest.mark.parametrize("duplicates", ["allow", "refuse"])
    def test_duplicates(self, tmp_path, duplicates):
        """The same value for two jobs: one record, gone with the second."""
        with cloudns.Fake(duplicates=duplicates) as fake:
            one = Cloud(VENDOR, tmp_path, fake)
            for name in ("a", "b"):
                one.placard.ok("present", "--jobs", one.placard.job_file(
                    lab.job(lab.dns01("example.org"), name=name)))
            assert len(fake.zone("example.org").records) == 1
            one.placard.ok("cleanup", "--job", "a")
            assert len(fake.zone("example.org").records) == 1
            one.placard.ok("cleanup", "--job", "b")
            one.unchanged()

    def test_cloud_domain(self, cloud):
        """Its records are its master's."""
        done = cloud.placard.json("present", "--no-wait",
                                  *dns01("www.cloud.example"))
        assert done.report["challenges"][0]["scope"] == "cloud.example"
        assert cloud.texts("_acme-challenge.www.example.com") == [
            lab.value()]
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    def test_value_twice_in_the_zone(self, cloud):
        """Two records of one value are one value: both go."""
        cloud.placard.ok("present", *dns01("example.org"))
        cloud.fake.add_record("example.org", "_acme-challenge", "TXT",
                              lab.value(), ttl=60)
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    @pytest.mark.big
    def test_record_pages(self, cloud):
        """More records in the zone than a page holds."""
        for n in range(230):
            cloud.fake.add_record("example.org", f"n{n}", "TXT", "x", ttl=60)
        cloud.before = cloud.picture()
        job = cloud.placard.job_file(lab.job(
            *[lab.dns01(f"h{n}.example.org", f"v{n}") for n in range(5)]))
        for _ in range(2):
            cloud.placard.ok("present", "--jobs", job)
        assert len(cloud.fake.zone("example.org").records) == 235
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    @pytest.mark.big
    def test_within_the_limit(self, cloud):
        """60 adds with the vendor's 20 a second kept: none is refused."""
        job = cloud.placard.job_file(lab.job(
            *[lab.dns01(f"h{n}.example.org", f"v{n}") for n in range(60)]))
        cloud.placard.ok("present", "--jobs", job)
        cloud.fake.limited = False
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()
        adds = cloud.fake.calls("POST", "/add-record")
        assert len(adds) == 60
