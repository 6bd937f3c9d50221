# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard with cloudns accounts, against the vendor's fake."""
import pytest

import lab
from lab_cloud import Cloud, CloudTests, Vendor, cloud, dns01  # noqa: F401

from fakes import cloudns  # noqa: E402

VENDOR = Vendor(cloudns, ("auth-password",), "/records.json",
                ("POST", "/add-record"), "/list-zones")


class TestCloudns(CloudTests):
    vendor = VENDOR

    @pytest.mark.big
    def test_many(self, cloud):
        """A call a record, and nothing in a query."""
        up, down = self.many(cloud, 3 + 3 * 5 + 100, 3 + 3 * 5 + 100)
        assert sum("add-record" in one for one in up) == 100
        assert sum("delete-record" in one for one in down) == 100
        assert cloud.fake.leaks == []
