# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard with godaddy accounts, against the vendor's fake."""
import pytest

import lab
from lab_cloud import Cloud, CloudTests, Vendor, cloud, dns01  # noqa: F401

from fakes import godaddy  # noqa: E402

VENDOR = Vendor(godaddy, ("secret",), r"/records/TXT", ("PATCH", "/records"),
                r"/domains\?", ttl=900)


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
