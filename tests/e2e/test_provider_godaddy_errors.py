# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard with godaddy accounts, where things go wrong."""
import pytest

import lab
from lab_cloud import (STRANGER, Cloud, CloudErrorTests, cloud,  # noqa: F401
                       dns01)
from test_provider_godaddy import VENDOR


class TestGodaddyErrors(CloudErrorTests):
    vendor = VENDOR
    wrong = {"key": "dLfWrongKey", "secret": "canary-of-a-wrong-secret"}

    def test_policy_is_no_wrong_key(self, cloud):
        cloud.fake.denied = ["domains", "read", "write"]
        done = cloud.placard.json("present", *dns01())
        assert done.status == 4, done
        assert "larger or paying accounts" in done.text()
        assert len(cloud.calls()) == 2
        cloud.unchanged()

    def test_blind_writes_are_not_made(self, cloud):
        cloud.fake.denied = ["read"]
        done = cloud.placard.json("present", *dns01())
        assert done.status == 4, done
        assert all(one.startswith("GET") for one in cloud.calls())

    def test_other_environment(self, tmp_path):
        with VENDOR.module.Fake() as fake:
            one = Cloud(VENDOR, tmp_path, fake, fake.ote_credentials)
            assert one.placard.run("present", *dns01()).status == 4
            assert len(one.calls()) == 1

    def test_delegated_away(self, cloud):
        cloud.fake.add_record("example.org", "away", "NS", "ns.other.test.")
        done = cloud.placard.json("present", *dns01("www.away.example.org"))
        assert done.status == 1, done
        assert "delegated away" in done.text()
        assert cloud.fake.calls("PATCH") == []

    def test_stored_empty(self, cloud):
        """200, and an empty value is there: said, and not done again."""
        cloud.fake.silent_empty = True
        done = cloud.placard.json("present", *dns01(), "--timeout", 20)
        assert done.status != 0, done
        assert "Domain Protection" in done.text()
        assert len(cloud.fake.calls("PATCH")) == 1
        assert cloud.placard.quiet_journal()
        assert cloud.texts().count(STRANGER) == 1

    def test_quota(self, cloud):
        """The month's quota: no waiting for it."""
        cloud.fake.fault("quota", path="PATCH|/records", count=None)
        done = cloud.placard.json("present", *dns01())
        assert done.status == 1, done
        assert "quota" in done.text()

    @pytest.mark.big
    def test_one_bad_name_of_many(self, cloud):
        """A CNAME among the names is followed, the others are added."""
        cloud.fake.limited = False
        job = cloud.placard.job_file(lab.job(
            lab.dns01("aliased.example.com", "a"),
            *[lab.dns01(f"h{n}.example.com", f"v{n}") for n in range(9)]))
        cloud.placard.ok("present", "--jobs", job)
        assert cloud.texts("_acme-challenge.example.net") == [lab.value("a")]
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    def test_set_put_back_by_another_client(self, cloud):
        """Another writer puts back our value between write and read."""
        cloud.placard.ok("present", *dns01("new.example.com"))
        fake, handle = cloud.fake, cloud.fake.handle
        left = [1]

        def work(request):
            reply = handle(request)
            if request.method == "DELETE" and left:
                left.pop()
                fake.add_record("example.com", "_acme-challenge.new", "TXT",
                                lab.value(), ttl=600)
            return reply
        fake.handle = work
        cloud.placard.ok("cleanup", "--all")
        assert left == []
        cloud.unchanged()
