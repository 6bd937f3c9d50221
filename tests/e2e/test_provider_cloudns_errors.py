# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard with cloudns accounts, where things go wrong."""
import pytest

import lab
from lab_cloud import (STRANGER, Cloud, CloudErrorTests, cloud,  # noqa: F401
                       dns01)
from test_provider_cloudns import VENDOR


class TestCloudnsErrors(CloudErrorTests):
    vendor = VENDOR
    wrong = {"auth-id": "1234", "auth-password": "canary+of%a wrong&password"}

    @pytest.mark.parametrize("zone, why", [("slave.example", "slave"),
                                           ("off.example", "switched off")])
    def test_zones_of_no_use(self, cloud, zone, why):
        done = cloud.placard.json("present", *dns01("www." + zone))
        assert done.status == 1, done
        assert why in done.text()
        cloud.unchanged()

    def test_plan_without_api(self, cloud):
        cloud.fake.plan = False
        done = cloud.placard.json("present", *dns01())
        assert done.status == 4, done
        assert "plan" in done.text() and len(cloud.calls()) == 1

    def test_refusals_inside_200(self, cloud):
        """A sentence that is not known is a refusal, once."""
        cloud.fake.fault("failed", path="/add-record", count=None,
                         text="Something new is wrong with it.")
        done = cloud.placard.json("present", *dns01())
        assert done.status == 1, done
        assert "Something new" in done.text()
        assert len(cloud.fake.calls("POST", "/add-record")) == 1
        cloud.unchanged()

    def test_gone_meanwhile(self, cloud):
        cloud.placard.ok("present", *dns01("example.org"))
        cloud.fake.fault("failed", path="/delete-record",
                         text="Invalid record-id param.")
        cloud.placard.ok("cleanup", "--all")
        assert cloud.placard.quiet_journal()

    @pytest.mark.parametrize("more", [
        {"sub-auth-id": "5678"}, {"sub-auth-user": "x", "auth-id": "1234"}])
    def test_one_identity_only(self, cloud, more):
        cloud.placard.accounts["bad"] = {
            **cloud.placard.accounts["cloud"], **more}
        assert cloud.placard.run("account", "list").status == 3

    def test_stranger_beside_an_error(self, cloud):
        """A removal that fails leaves strangers and the journal alone."""
        cloud.placard.ok("present", *dns01())
        cloud.fake.fault("failed", path="/delete-record", text="No.",
                         count=None)
        assert cloud.placard.run("cleanup", "--all").status == 1
        assert STRANGER in cloud.texts()
        assert len(cloud.placard.listed()) == 1
        cloud.fake.faults.clear()
        cloud.placard.ok("cleanup", "--all")
        cloud.unchanged()
