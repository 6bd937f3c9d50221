# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The lab in one import: servers, liars, namespaces, and placard itself."""

from lab_dns import Key, Knotd, Named, NameServer, zone_text
from lab_liar import Liar
from lab_net import (LabError, Namespace, Service, alive, closed_port,
                     descendants, find_program, free_port, kill_tree,
                     namespaces_work, own_address, wait_for)
import lab_schema
from lab_placard import (Placard, Result, build_dir, dns01, job, mentions,
                         strace, value, wait_listed, workers_of)
from lab_web import Nginx, tree

__all__ = ["Key", "Knotd", "LabError", "Liar", "NameServer", "Named",
           "Namespace", "Nginx", "Placard", "Result", "Service", "alive",
           "build_dir", "closed_port", "descendants", "dns01", "find_program",
           "free_port", "job", "kill_tree", "lab_schema", "mentions", "namespaces_work", "own_address",
           "strace", "tree", "value", "wait_for", "wait_listed", "workers_of",
           "zone_text"]
