# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A small internet in a namespace: pebble where Let's Encrypt would be.

Inside, named serves example.com and letsencrypt.org on port 53, with a
secondary; nginx answers as acme-v02.api.letsencrypt.org (pebble behind it)
and serves www.example.com; and /etc, /usr and /var are private copies on
write, so that every client can be run as its manual says, with the
directories that it has by default, and nothing of the host changes.
"""

import datetime
import json
import os
import re
import shutil
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import lab_placard
from lab_dns import Named
from lab_net import (SBIN, LabError, Namespace, Service, find_program,
                     kill_tree)
from lab_placard import Placard

ZONE = "example.com"
SITE = "127.0.0.80"         # www.example.com
SECOND = "127.0.0.2"
DIRECTORY = "acme-v02.api.letsencrypt.org"
TOOLS = ("acme.sh", "certbot", "dehydrated", "lego", "mod_md", "uacme")
LIBEXEC = "/usr/libexec/placard"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


class Authority:
    """A certificate authority for servers of the lab."""

    def __init__(self, directory):
        self.dir = str(directory)
        os.makedirs(self.dir, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab CA")])
        self.cert = self._sign(name, name, self.key.public_key(),
                               [(x509.BasicConstraints(True, 0), True)])
        self.file = self._write("ca.pem", self.cert)

    def _sign(self, subject, issuer, public, extensions):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder().subject_name(subject)
                   .issuer_name(issuer).public_key(public)
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(hours=1))
                   .not_valid_after(now + datetime.timedelta(days=2)))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())

    def _write(self, name, cert, key=None):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as out:
            out.write(cert.public_bytes(serialization.Encoding.PEM))
        if key:
            with open(path + ".key", "wb") as out:
                out.write(key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption()))
        return path

    def server(self, *names):
        """(certificate file, key file) for these host names."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME,
                                                names[0])])
        cert = self._sign(subject, self.cert.subject, key.public_key(), [
            (x509.SubjectAlternativeName([x509.DNSName(n) for n in names]),
             False)])
        path = self._write(names[0] + ".pem", cert, key)
        return path, path + ".key"


class Pebble(Service):
    """The test CA, as strict about DNS as it can be."""

    name = "pebble"

    def __init__(self, directory, authority, dns, ns=None, trusting=False):
        super().__init__(directory, ns)
        self.authority = authority
        self.dns = dns
        self.trusting = trusting        # takes every challenge for done

    def start(self):
        cert, key = self.authority.server("localhost")
        self.write("pebble.json", json.dumps({"pebble": {
            "listenAddress": "127.0.0.1:14000",
            "managementListenAddress": "127.0.0.1:15000",
            "certificate": cert, "privateKey": key, "httpPort": 80,
            "tlsPort": 443, "ocspResponderURL": "",
            "externalAccountBindingRequired": False}}))
        # Settings for tests: no random sleeps, no refused nonces, no reuse.
        self.spawn([find_program("env"), "PEBBLE_VA_NOSLEEP=1",
                    "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0",
                    f"PEBBLE_VA_ALWAYS_VALID={int(self.trusting)}",
                    find_program("pebble"), "-config",
                    self.path("pebble.json"), "-dnsserver", self.dns,
                    "-strict=false"])
        self.wait_ready()
        return self

    def ready(self):
        return "Listening on" in self.output()


class Front(Service):
    """nginx: the ACME directory on 443, the site on 80."""

    name = "nginx"

    def __init__(self, directory, authority, root, ns=None):
        super().__init__(directory, ns)
        self.authority = authority
        self.root = root

    def start(self):
        cert, key = self.authority.server(DIRECTORY)
        temporary = "".join(
            f"  {kind}_temp_path {self.path('tmp')};\n" for kind in
            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;\n" if os.geteuid() == 0 else ""
        proxy = ("proxy_pass https://127.0.0.1:14000; "
                 "proxy_set_header Host $host;")
        self.write("nginx.conf", (
            f"{user}daemon off;\nworker_processes 1;\n"
            f"pid {self.path('nginx.pid')};\n"
            f"error_log {self.path('error.log')};\n"
            "events { worker_connections 256; }\n"
            f"http {{\n{temporary}  access_log {self.path('access.log')};\n"
            "  default_type text/plain;\n"
            f"  server {{ listen 127.0.0.1:443 ssl; server_name {DIRECTORY};"
            f" ssl_certificate {cert}; ssl_certificate_key {key};\n"
            f"    location = /directory {{ rewrite ^ /dir break; {proxy} }}\n"
            f"    location / {{ {proxy} }} }}\n"
            f"  server {{ listen {SITE}:80; root {self.root}; }}\n}}\n"))
        self.spawn([find_program("nginx"), "-p", self.dir, "-e",
                    self.path("error.log"), "-c", self.path("nginx.conf")])
        self.wait_ready()
        return self

    def ready(self):
        import socket
        try:
            for where in (("127.0.0.1", 443), (SITE, 80)):
                socket.create_connection(where, 1).close()
        except OSError:
            return False
        return True


class Placardd(Service):
    """The installed placardd, with the socket at its usual place."""

    name = "placardd"

    def start(self):
        for line in ("mount -t tmpfs none /run", "mkdir /run/placard",
                     "chmod 755 /run/placard", "groupadd -f -r placard"):
            self.ns.run(*line.split())
        shutil.copy2(os.path.join(lab_placard.build_dir(), "placardd"),
                     self.ns.inside("/usr/sbin/placardd"))
        self.spawn(["env", f"PLACARD_LIBEXEC={LIBEXEC}",
                    "/usr/sbin/placardd"])
        self.wait_ready()
        return self

    def ready(self):
        return os.path.exists(self.ns.inside("/run/placard/placardd.sock"))

    def jobs(self, tool):
        """How many jobs a tool's hook has handed over."""
        return len(set(re.findall(rf"job=({re.escape(tool)}-\S+)",
                                  self.output())))


class Done:
    """What a client's command did."""

    def __init__(self, argv, status, text):
        self.argv, self.status, self.text = argv, status, text

    def __repr__(self):
        return f"{self.argv}\n  status {self.status}\n{self.text[-6000:]}"


class World:
    """All of it, and a placard that is installed in it."""

    def __init__(self, directory, notify="fast", ask=None, daemon=False,
                 trusting=False, files=True):
        self.dir = str(directory)
        self.notify = notify
        self.trusting = trusting
        self.files = files                  # is http-01 served, too?
        self.daemon = daemon                # is there a placardd, too?
        self.ask = ask or f"{SECOND}:53"    # whom pebble asks
        self.parts = []
        self.root = os.path.join(self.dir, "www")

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def _begin(self, part):
        part.__enter__()
        self.parts.append(part)
        return part

    def _private(self, folder):
        """Copy on write over one directory of the host."""
        base = self.path("over")
        name = folder.strip("/").replace("/", "-")
        self.ns.run("mkdir", "-p", f"{base}/{name}/up", f"{base}/{name}/tmp")
        self.ns.run("mount", "-t", "overlay", "overlay", "-o",
                    f"lowerdir={folder},upperdir={base}/{name}/up,"
                    f"workdir={base}/{name}/tmp", folder)

    def start(self):
        os.makedirs(self.root, exist_ok=True)
        os.chmod(self.root, 0o755)
        os.makedirs(self.path("over"), exist_ok=True)
        self.ns = self._begin(Namespace(resolver="127.0.0.1",
                                        directory=self.dir))
        self.ns.add_address(SITE)
        self.ns.run("mount", "-t", "tmpfs", "none", self.path("over"))
        for folder in ("/usr", "/var"):
            self._private(folder)
        # The namespace has its own resolv.conf mounted: keep that.
        self.ns.run("umount", "/etc/resolv.conf")
        self._private("/etc")
        self.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
        self.authority = Authority(self.path("ca"))
        with open(self.authority.file, encoding="ascii") as text:
            ours = text.read()
        with open(self.inside(BUNDLE), encoding="ascii") as text:
            self.write(BUNDLE, text.read() + ours)
        self._servers()
        self._begin(Pebble(self.path("pebble"), self.authority, self.ask,
                           self.ns, self.trusting))
        self._begin(Front(self.path("front"), self.authority, self.root,
                          self.ns))
        self._install()
        self.service = self._begin(Placardd(
            self.path("placardd"), self.ns)) if self.daemon else None
        self.before = self.state()
        return self

    def _servers(self):
        zones = [ZONE, "letsencrypt.org"]
        self.primary = Named(
            self.path("primary"), zones, port=53, second=SECOND,
            secondaries=[f"{SECOND}:53"], notify=self.notify, recursion=True,
            ns=self.ns)
        self.primary.zone_extra["letsencrypt.org"] = (
            "acme-v02.api A 127.0.0.1\n")
        self.primary.zone_extra[ZONE] = "@ A 127.0.0.80\n"
        self._begin(self.primary)
        self.secondary = self._begin(Named(
            self.path("secondary"), zones, keys=self.primary.keys,
            primary=self.primary, address=SECOND, port=53, ns=self.ns))

    def _install(self):
        """As `make install` with --prefix=/usr does, as far as needed."""
        build = lab_placard.build_dir()
        os.makedirs(self.inside(LIBEXEC), exist_ok=True)
        shutil.copy2(os.path.join(build, "placard"),
                     self.inside("/usr/bin/placard"))
        for name in os.listdir(build):
            path = os.path.join(build, name)
            if (name.startswith("placard-") and os.path.isfile(path) and
                    os.access(path, os.X_OK)):
                shutil.copy2(path, self.inside(f"{LIBEXEC}/{name}"))
        for tool in TOOLS:
            link = f"{LIBEXEC}/hook-{tool}"
            self.ns.run("ln", "-sf", "/usr/bin/placard", link)
        # Only in the copy: the host may have a placard of its own.
        self.ns.run("rm", "-rf", "/etc/placard", "/var/lib/placard")
        os.makedirs(self.inside("/etc/placard"), mode=0o755)
        os.makedirs(self.inside("/var/lib/placard"), mode=0o700)
        self.placard = Placard(self.path("placard"), ns=self.ns)
        self.placard.state = "/var/lib/placard"
        self.placard.rfc2136("lab", self.primary)
        self.placard.account("web", "file", root=self.root,
                             enabled=None if self.files else False)
        self.placard.route("example.com", "lab", method="dns-01")
        self.placard.route("example.com", "web", method="http-01")
        self.placard.verify = {"site-local": True}
        self.configure()

    def configure(self):
        self.write("/etc/placard/placard.conf", self.placard.text(), 0o600)
        self.placard.write()

    def inside(self, path):
        return self.ns.inside(path)

    def write(self, path, text, mode=0o644):
        """A file inside."""
        real = self.inside(path)
        os.makedirs(os.path.dirname(real), exist_ok=True)
        with open(real, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(real, mode)

    def env(self, **more):
        return {"PATH": SBIN, "HOME": self.path("home"), "LC_ALL": "C.UTF-8",
                "PLACARD_LIBEXEC": LIBEXEC, **more}

    def popen(self, command, **more):
        """Start a shell line as root of the namespace would type it."""
        os.makedirs(self.path("home"), exist_ok=True)
        # nsenter leaves us at the root of the host.
        argv = ["/bin/sh", "-c", f"cd '{self.path('home')}' && {{ {command}"
                "\n}"]
        return subprocess.Popen(
            self.ns.prefix() + argv, env=self.env(**more), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)

    def run(self, command, timeout=240, **more):
        os.makedirs(self.path("home"), exist_ok=True)
        proc = self.popen(command, **more)
        try:
            text, _ = proc.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            kill_tree(proc.pid)
            text, _ = proc.communicate()
            raise AssertionError(f"{command}: not done in {timeout} s\n"
                                 f"{text[-4000:]}") from None
        return Done(command, proc.returncode, text)

    def ok(self, command, **more):
        done = self.run(command, **more)
        assert done.status == 0, done
        return done

    def state(self):
        """Everything that a run must leave as it was."""
        files = {}
        for folder, names, leaves in os.walk(self.root):
            for name in names + leaves:
                path = os.path.join(folder, name)
                files[os.path.relpath(path, self.root)] = None
                if name in leaves:
                    with open(path, "rb") as one:
                        files[os.path.relpath(path, self.root)] = one.read()
        return self.primary.dump(ZONE), files

    def unchanged(self):
        after = self.state()
        assert after[0] == self.before[0], "the zone changed:\n" + "\n".join(
            sorted(set(after[0].splitlines()) ^
                   set(self.before[0].splitlines())))
        assert after[1] == self.before[1]
        left = self.ok("placard --json list").text.strip()
        assert left == "", left

    def names(self, path):
        """The DNS names in the certificate file (a path inside)."""
        with open(self.inside(path), "rb") as text:
            cert = x509.load_pem_x509_certificate(text.read())
        return sorted(cert.extensions.get_extension_for_class(
            x509.SubjectAlternativeName).value.get_values_for_type(
                x509.DNSName))

    def stop(self):
        while self.parts:
            self.parts.pop().__exit__(None, None, None)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()


def missing(*programs):
    """The first of these that is not installed, or None."""
    for name in programs:
        try:
            find_program(name)
        except LabError:
            return name
    return None
