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
