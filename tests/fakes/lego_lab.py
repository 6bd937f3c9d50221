# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""lego against the fakes that Debian's lego knows, by their real host names.

Run as root by `unshare --net --mount`: in a network of its own each vendor
has an address with ports 443 and 53, /etc/hosts names them, and pebble plays
the certificate authority, which takes every proof for good.  Prints one JSON
object: vendor to what happened.
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

if not __package__:
    sys.path[0] = str(pathlib.Path(__file__).resolve().parent.parent)
from fakes import base, clients, cloudns, godaddy, route53  # noqa: E402

DOMAIN = "example.org"
NAME = "_acme-challenge." + DOMAIN
PEBBLE = "127.0.0.99"


def environment(name, fake, good):
    """What lego's provider reads; with good false one secret is wrong."""
    given = fake.credentials
    if name == "route53":
        env = {"AWS_ACCESS_KEY_ID": given["access-key-id"],
               "AWS_SECRET_ACCESS_KEY": given["secret-access-key"],
               "AWS_REGION": "us-east-1", "AWS_MAX_RETRIES": "1"}
        if not good:
            env["AWS_SECRET_ACCESS_KEY"] = "wrong"
    elif name == "godaddy":
        env = {"GODADDY_API_KEY": given["key"],
               "GODADDY_API_SECRET": given["secret"] if good else "wrong"}
    else:
        env = {"CLOUDNS_AUTH_ID": given["auth-id"], "CLOUDNS_AUTH_PASSWORD":
               given["auth-password"] if good else "wrong"}
    env[name.upper() + "_POLLING_INTERVAL"] = "1"
    env["AWS_POLLING_INTERVAL"] = "1"
    env["AWS_EC2_METADATA_DISABLED"] = "true"
    return clients.clean_env(
        fake, LEGO_CA_CERTIFICATES=fake.ca_file, **env)


def lego(name, fake, good):
    with tempfile.TemporaryDirectory(prefix="placard-lego-") as folder:
        run = subprocess.run(
            ["/usr/bin/lego", "--server", f"https://{PEBBLE}:14000/dir",
             "--accept-tos", "--email", "a@example.net", "--path", folder,
             "--dns", name, "--dns.disable-cp", "--dns.resolvers",
             fake.dns[0] + ":53", "--domains", DOMAIN, "--domains",
             "*." + DOMAIN, "run"], env=environment(name, fake, good),
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=90, check=False)
    return run.returncode, run.stderr[-2000:]


def both_runs(name, fake):
    seen, real = set(), fake.touch

    def touch(zone):
        real(zone)
        seen.add(len(fake.values(NAME, "TXT")))

    fake.touch = touch
    status, output = lego(name, fake, True)
    after = fake.values(NAME, "TXT")
    refused, refusal = lego(name, fake, False)
    return {"status": status, "output": output, "most": max(seen, default=0),
            "after": after, "refused": refused, "refusal": refusal,
            "calls": [f"{c.method} {c.target.split('?')[0]} {c.status}"
                      for c in fake.calls()]}


def start_pebble(authority, folder):
    """pebble with a certificate of the test CA, when it listens."""
    pem = pathlib.Path(folder, "pebble.pem")
    authority.write(pem, [PEBBLE])
    config = pathlib.Path(folder, "pebble.json")
    config.write_text(json.dumps({"pebble": {
        "listenAddress": f"{PEBBLE}:14000", "certificate": str(pem),
        "managementListenAddress": f"{PEBBLE}:15000",
        "privateKey": str(pem), "httpPort": 5002, "tlsPort": 5001}}))
    pebble = subprocess.Popen(
        ["/usr/bin/pebble", "-config", str(config)], env={
            "PEBBLE_VA_ALWAYS_VALID": "1", "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0",
            "PATH": "/usr/bin"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(1200):
        try:
            base.socket.create_connection((PEBBLE, 14000), 1).close()
            return pebble
        except OSError:
            time.sleep(0.05)
    pebble.kill()
    raise OSError("pebble does not listen")


def main():
    subprocess.run(["/sbin/ip", "link", "set", "lo", "up"], check=True)
    authority, fakes, hosts = base.Authority(), {}, ""
    for number, vendor in enumerate([cloudns, godaddy, route53], 10):
        address = f"127.0.0.{number}"
        fake = vendor.Fake(addresses=[address], port=443, dns_port=53,
                           dns_addresses=[address], ca=authority)
        fakes[fake.vendor] = fake
        hosts += "".join(f"{address} {host}\n" for host in fake.hosts)
    names = pathlib.Path(authority.folder, "hosts")
    names.write_text("127.0.0.1 localhost\n" + hosts)
    subprocess.run(["/bin/mount", "--bind", str(names), "/etc/hosts"],
                   check=True)
    pebble = start_pebble(authority, authority.folder)
    try:
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            done = pool.map(lambda item: (item[0], both_runs(*item)),
                            fakes.items())
            print(json.dumps(dict(done)))
    finally:
        pebble.terminate()
        pebble.wait(20)
        for fake in fakes.values():
            fake.close()
        authority.close()


if __name__ == "__main__":
    assert os.geteuid() == 0
    main()
