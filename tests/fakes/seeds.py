# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""What a fake holds before a test begins: strangers' records, many zones.

"standard": example.com with decoys, a delegated child zone, example.org and
example.net, and the vendor's own odd zones (duplicates, private, pending...).
"none": nothing.
"""
SEEDS = ("standard", "none")

STRANGERS = [
    ("@", "TXT", ["v=spf1 include:_spf.example.net -all",
                  "site-verification=Zm9vYmFy"], 3600),
    ("@", "MX", ["10 mail.example.com."], 3600),
    ("@", "A", ["192.0.2.10"], 300),
    ("mail", "A", ["192.0.2.25"], 3600),
    ("_dmarc", "TXT", ["v=DMARC1; p=reject"], 7200),
    ("_acme-challenge", "TXT", ["stranger-value-of-another-client"], 3600),
    ("_acme-challenge.shop", "TXT", ["first-stranger", "second-stranger"],
     900),
    ("www", "CNAME", ["example.com."], 3600),
    ("_acme-challenge.aliased", "CNAME", ["_acme-challenge.example.net."],
     3600),
    ("_acme-challenge-not", "TXT", ["similar name"], 3600),
]


def plant(fake, seed, bulk):
    if seed == "standard":
        for name in ("example.com", "example.org", "example.net"):
            fake.add_zone(name)
        for name, rtype, values, ttl in STRANGERS:
            fake.add_record("example.com", name, rtype, *values, ttl=ttl)
        child = fake.add_zone("child.example.com")
        fake.add_record("example.com", "child", "NS",
                        *[ns + "." for ns in fake.name_servers(child)])
        fake.seed_oddities()
    for number in range(bulk):
        fake.add_zone(f"bulk{number:04}.example")
