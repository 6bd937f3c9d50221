# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard with cloudflare accounts, where things go wrong."""
import pytest

import lab
from lab_cloud import (NAME, STRANGER, Cloud, CloudErrorTests, cloud,  # noqa
                       dns01, hundred)
from test_provider_cloudflare import VENDOR, token


class TestCloudflareErrors(CloudErrorTests):
    vendor = VENDOR
    wrong = {"email": "ops@example.com", "api-key": "f" * 37}
