# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard with godaddy accounts, against the vendor's fake."""
import pytest

import lab
from lab_cloud import Cloud, CloudTests, Vendor, cloud, dns01  # noqa: F401

from fakes import godaddy  # noqa: E402

VENDOR = Vendor(godaddy, ("secret",), r"/records/TXT", ("PATCH", "/records"),
                r"/domains\?", ttl=900,
                right=(("lists", []), ("records", [])))


class TestGodaddy(CloudTests):
    vendor = VENDOR

    @pytest.mark.big
    def test_many(self, cloud):
        """One PATCH a zone; a removal is one call a name."""
        up, down = self.many(cloud, 1 + 3 * 6, 3 * 46)
        assert sum(one.startswith("PATCH") for one in up) == 3
        assert sum(one.startswith("DELETE") for one in down) == 100
        assert not any(one.startswith("PUT") for one in up + down)
        assert cloud.fake.alarms == []

    def calls_of(self, cloud, method):
        return [r.target for r in cloud.fake.calls(method)]

    def test_strangers_set_is_written_back(self, cloud):
        """A set with others in it is put back, each with its own TTL."""
        cloud.placard.ok("present", *dns01("shop.example.com"))
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()
        assert self.calls_of(cloud, "PUT") == [
            "/v1/domains/example.com/records/TXT/_acme-challenge.shop"]
        assert self.calls_of(cloud, "DELETE") == []
        assert cloud.fake.alarms == []

    def test_last_value_deletes_one_set(self, cloud):
        cloud.placard.ok("present", *dns01("new.example.com"))
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()
        assert self.calls_of(cloud, "PUT") == []
        assert self.calls_of(cloud, "DELETE") == [
            "/v1/domains/example.com/records/TXT/_acme-challenge.new"]

    def test_junk_of_old_clients(self, cloud):
        """Values that the API itself would refuse do not stop a removal;
        a stranger's real value stays."""
        cloud.placard.ok("present", *dns01("legacy.example"))
        cloud.placard.ok("cleanup", "--all")
        assert cloud.texts("_acme-challenge.legacy.example") == [
            "stranger-of-legacy"]

    def test_small_account(self, cloud):
        """No list, but the records can be reached: the walk finds them."""
        cloud.fake.denied = ["domains"]
        for name in ("www.example.com", "example.org", "hosted.example",
                     "a.b.child.example.com"):
            cloud.placard.ok("present", "--no-wait", *dns01(name))
            assert cloud.texts("_acme-challenge." + name) == [lab.value()]
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    def test_hosted_only(self, cloud):
        """Registered elsewhere, so not in the list."""
        cloud.placard.ok("present", *dns01("www.hosted.example"))
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    def test_hosted_child(self, tmp_path):
        """A child zone that no list shows is found by its delegation."""
        with godaddy.Fake() as fake:
            fake.add_zone("sub.example.org", registered=False)
            fake.add_record("example.org", "sub", "NS",
                            "ns01.domaincontrol.com.")
            one = Cloud(VENDOR, tmp_path, fake)
            found = one.placard.json("present", *dns01(
                "www.sub.example.org")).report["challenges"][0]
            assert found["scope"] == "sub.example.org"
            one.placard.ok("cleanup", "--all")
            one.unchanged()

    def test_personal_data_is_not_asked_for(self, cloud):
        done = cloud.placard.ok("-v", "present", *dns01())
        assert cloud.fake.auth_code not in done.text()
        assert not cloud.fake.calls(path="/domains/[^/]*$")

    def test_settling(self, cloud):
        """Each edit is followed by refusals for a moment."""
        cloud.fake.settle_calls = 1
        cloud.placard.ok("present", *dns01())
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()
