#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""What `./bootstrap run` shows with servers that are not placard's own.

Two named, of which the second follows the first, and an nginx live for the
time of it, on loopback ports.
"""

import sys
import tempfile

import lab

ZONE = "example.test"
TOKEN = "DGyRejmCefe7v4NfDGDKfA"


def say(text, indent=6):
    for line in text.rstrip().splitlines():
        print(" " * indent + line)


def jobs(placard):
    return placard.job_file({"job": "named-and-nginx", "challenges": [
        {"method": "dns-01", "domain": ZONE, "value": lab.value("apex")},
        {"method": "dns-01", "domain": f"*.{ZONE}",
         "value": lab.value("wildcard")},
        {"method": "http-01", "domain": f"www.{ZONE}", "token": TOKEN,
         "key-authorization": f"{TOKEN}.9jg46WB3rR_AHD"}]})


def configured(directory, primary, secondary, web):
    placard = lab.Placard(directory)
    placard.rfc2136("dns", primary).account("web", "file", root=web.root)
    placard.route(ZONE, "dns").route(f"www.{ZONE}", "web")
    placard.servers(primary.where(), secondary.where())
    placard.verify.update({"http-servers": [web.site], "site-local": True})
    return placard


def show(placard, primary, web):
    before = primary.dump(ZONE), lab.tree(web.root)
    job = jobs(placard)
    say(placard.ok("present", "--jobs", job).out)
    print(f"   placard list: {len(placard.listed())} published; "
          "placard cleanup --job named-and-nginx takes it away.")
    placard.ok("cleanup", "--job", "named-and-nginx")
    if (primary.dump(ZONE), lab.tree(web.root)) != before:
        print("   zone or document root differ from what they were")
        return 1
    print(f"   The zone ({len(before[0])} bytes) and the document root are "
          "byte for byte what they were.")
    return 0


def main():
    with tempfile.TemporaryDirectory() as base:
        port = lab.free_port("127.0.0.1")
        with lab.Named(f"{base}/first", [ZONE], second="127.0.0.1",
                       secondaries=[f"127.0.0.1:{port}"]) as primary, \
                lab.Named(f"{base}/second", [ZONE], keys=primary.keys,
                          primary=primary, address="127.0.0.1",
                          port=port) as secondary, \
                lab.Nginx(f"{base}/web") as web:
            placard = configured(f"{base}/placard", primary, secondary, web)
            return show(placard, primary, web)


if __name__ == "__main__":
    sys.exit(main())
