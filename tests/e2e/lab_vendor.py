# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A placard whose account is at a stand-in of a cloud vendor."""

import base64
import os
import pathlib
import sys
import urllib.parse

import lab

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

SECRETS = {"client-secret", "secret-access-key", "session-token", "api-key",
           "api-token", "secret", "auth-password"}
STRANGER = "stranger-value-of-another-client"
OWNER = "_acme-challenge.example.com"


class CloudBed:
    """One fake, one placard with the account "cloud", and what was there."""

    def __init__(self, directory, fake, **options):
        self.fake = fake
        self.dir = directory
        self.named = None
        self.placard = lab.Placard(directory)
        self.login(dict(fake.credentials), **options)
        self.placard.servers("%s:%d" % fake.dns)
        self.placard.write()
        self.before = self.zones()

    def login(self, credentials, **options):
        """Give the account these credentials; secrets go into files."""
        settings = {"endpoint": self.fake.url}
        if self.fake.ca_file:
            settings["ca-file"] = self.fake.ca_file
        for name, value in credentials.items():
            if value is None:
                continue
            if name in SECRETS:
                settings[name + "-file"] = self.placard.secret_file(
                    "cloud." + name, value)
            else:
                settings[name] = value
        settings |= {k.replace("_", "-"): v for k, v in options.items()}
        self.secrets = [v for k, v in credentials.items()
                        if k in SECRETS and v]
        self.placard.accounts["cloud"] = {"provider": self.fake.vendor} | {
            k: v for k, v in settings.items() if v is not None}
        self.placard.write()
        return self

    def zones(self):
        """All zones with their sets, as one can compare them."""
        return [(z["id"], sorted(
            (s["name"], s["type"], s["ttl"], sorted(s["values"]))
            for s in z["sets"])) for z in self.fake.state()["zones"]]

    def unchanged(self):
        after = self.zones()
        assert after == self.before, [
            (a, b) for a, b in zip(after, self.before) if a != b]

    def texts(self, name=OWNER, **zone):
        return self.fake.values(name, "TXT", **zone)

    def present(self, *challenge, **rest):
        return self.placard.json("present", *challenge, "--no-wait", **rest)

    def present_ok(self, *challenge, **rest):
        done = self.present(*challenge, **rest)
        assert done.status == 0, done
        return done

    def one(self, domain="example.com", seed="x"):
        return ["-m", "dns-01", "-d", domain, "--value", lab.value(seed)]

    def job(self, *challenges):
        return ["--jobs", self.placard.job_file(lab.job(*challenges))]

    def clean(self):
        """Take all back; nothing of ours or of others has changed."""
        done = self.placard.run("cleanup", "--all")
        assert done.status == 0, done
        self.unchanged()
        assert self.placard.quiet_journal()
        return done

    def resolver(self, zone):
        """Where the zone begins is told by a resolver of the test."""
        self.named = lab.Named(pathlib.Path(self.dir) / "resolver", [zone],
                               recursion=True)
        self.named.__enter__()
        self.placard.verify |= {"resolvers": [self.named.where()],
                                "dnssec": "off", "caa": "off"}
        self.placard.write()

    def close(self):
        if self.named:
            self.named.__exit__(None, None, None)

    def restart_log(self):
        with self.fake.lock:
            self.fake.log.clear()


def needles(secret):
    """The secret as it could turn up: raw, base64, URL-encoded."""
    raw = secret.encode()
    return {raw, base64.b64encode(raw).rstrip(b"="),
            base64.urlsafe_b64encode(raw).rstrip(b"="), raw.hex().encode(),
            urllib.parse.quote(secret, safe="").encode(),
            urllib.parse.quote_plus(secret).encode()}


def nowhere(secrets, data, where):
    for secret in secrets:
        for needle in needles(secret):
            assert needle not in data, where


def scan_state(bed, secrets, *results):
    """No secret in outputs, journal, or anything in the state directory."""
    for done in results:
        nowhere(secrets, done.text().encode(), "output")
        nowhere(secrets, " ".join(done.argv).encode(), "arguments")
    for folder, _, names in os.walk(bed.placard.state):
        for name in names:
            with open(os.path.join(folder, name), "rb") as text:
                nowhere(secrets, text.read(), name)


def scan_processes(pid, secrets):
    """No secret in arguments or environment below pid; how many looked at."""
    seen = 0
    for one in [pid, *lab.descendants(pid)]:
        for what in ("cmdline", "environ"):
            try:
                with open(f"/proc/{one}/{what}", "rb") as text:
                    nowhere(secrets, text.read(), f"{what} of {one}")
                    seen += 1
            except OSError:
                continue
    return seen
