# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard with cloudflare accounts, where things go wrong."""
import pytest

import lab
from lab_cloud import (STRANGER, Cloud, CloudErrorTests, cloud,  # noqa
                       dns01, hundred)
from test_provider_cloudflare import VENDOR, token


class TestCloudflareErrors(CloudErrorTests):
    vendor = VENDOR
    wrong = {"email": "ops@example.com", "api-key": "f" * 37}

    @pytest.mark.parametrize("name", ["disabled", "blocked"])
    def test_refused_tokens(self, tmp_path, name):
        with VENDOR.module.Fake() as fake:
            one = Cloud(VENDOR, tmp_path, fake, token(fake, name))
            done = one.placard.json("present", *dns01())
            assert done.status == 4, done
            assert len(one.calls()) == 1
            one.clean(done.text())

    def test_token_that_may_only_read(self, tmp_path):
        with VENDOR.module.Fake() as fake:
            one = Cloud(VENDOR, tmp_path, fake, token(fake, "reader"))
            done = one.placard.json("present", *dns01())
            assert done.status == 4, done
            assert len(fake.calls("POST")) == 1
            one.unchanged()

    @pytest.mark.parametrize("zone, why", [
        ("pending.example", "pending"), ("partial.example", "partial"),
        ("secondary.example", "secondary"),
        ("ambiguous.example", "2 times")])
    def test_zones_of_no_use(self, cloud, zone, why):
        done = cloud.placard.json("present", *dns01("www." + zone))
        assert done.status in (1, 3), done
        assert why in done.text()
        assert cloud.fake.calls("POST") == []
        cloud.unchanged()

    def test_foreign_zone_id(self, tmp_path):
        with VENDOR.module.Fake() as fake:
            one = Cloud(VENDOR, tmp_path, fake, zone_id="0" * 32)
            done = one.placard.json("present", *dns01())
            assert done.status == 1, done
            assert "7003" in done.text()

    def test_options_that_do_not_go_together(self, cloud):
        for more in ({"api-token-file": "/x"}, {"email": None},
                     {"zone-id": "example.com"}):
            settings = {**cloud.placard.accounts["cloud"], **more}
            cloud.placard.accounts["bad"] = {
                k: v for k, v in settings.items() if v is not None}
            cloud.placard.write()
            done = cloud.placard.run("account", "list")
            assert done.status == 3, done

    def test_name_that_is_a_cname_to_itself(self, cloud):
        cloud.fake.add_record("example.com", "_acme-challenge.round",
                              "CNAME", "_acme-challenge.round2.example.com.")
        cloud.fake.add_record("example.com", "_acme-challenge.round2",
                              "CNAME", "_acme-challenge.round.example.com.")
        before = cloud.picture()
        done = cloud.placard.json("present", *dns01("round.example.com"))
        assert done.status == 1, done
        assert cloud.picture() == before

    @pytest.mark.big
    def test_lost_batch_is_adopted(self, cloud):
        """The answer to a batch is lost: read again, nothing is doubled."""
        cloud.fake.fault("cut-after", method="POST", path="/batch")
        cloud.placard.ok("present", "--jobs", cloud.placard.job_file(
            hundred(["example.com"])))
        assert len(cloud.fake.calls("POST")) == 1
        assert cloud.texts() == [STRANGER]
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()

    @pytest.mark.big
    def test_batch_cut_before(self, cloud):
        cloud.fake.fault("cut-before", method="POST", path="/batch")
        cloud.placard.ok("present", "--jobs", cloud.placard.job_file(
            hundred(["example.com"])))
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()
