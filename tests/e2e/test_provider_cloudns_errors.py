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
    wrong = {"auth-id": "1234", "auth-password": "canary+of a wrong&password"}
