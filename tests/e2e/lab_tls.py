# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""TLS servers that show what placard deploys, and a client that looks."""

import hashlib
import os
import socket
import ssl
import threading

from lab_net import Service, find_program, free_port, own_address

APACHE = "/usr/lib/apache2/modules"


def shown(address, port, name=None):
    """SHA-256 of the certificate that is shown, whatever it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((address, port), 5) as link:
        with context.wrap_socket(link, server_hostname=name) as tls:
            return hashlib.sha256(tls.getpeercert(True)).hexdigest()


class TlsServer(Service):
    """One site with the certificate of a directory."""

    def __init__(self, directory, certs):
        super().__init__(directory)
        self.certs = str(certs)
        self.address = own_address()
        self.port = free_port(self.address)

    def where(self):
        return f"{self.address}:{self.port}"

    def ready(self):
        try:
            self.shown()
            return True
        except OSError:
            return False

    def shown(self, name="www.example.com"):
        return shown(self.address, self.port, name)

    def options(self):
        """Of a target: commands, and where to look."""
        return {"pre_check": self.check(), "reload": self.reload(),
                "served": self.where()} | self.files

    files = {}

    def start(self):
        self.configure()
        self.spawn(self.command())
        self.wait_ready()
        return self


class NginxTls(TlsServer):
    name = "nginx"

    def configure(self):
        os.makedirs(self.path("root"), exist_ok=True)
        user = "user root;\n" if os.geteuid() == 0 else ""
        temporary = "".join(
            f"  {kind}_temp_path {self.path('tmp')};\n" for kind in
            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.write("nginx.conf", (
            f"{user}daemon off;\nworker_processes 1;\n"
            f"pid {self.path('nginx.pid')};\n"
            "events { worker_connections 256; }\n"
            f"http {{\n{temporary}  access_log off;\n  server {{\n"
            f"    listen {self.where()} ssl;\n"
            f"    ssl_certificate {self.certs}/fullchain.pem;\n"
            f"    ssl_certificate_key {self.certs}/privkey.pem;\n"
            f"    root {self.path('root')};\n  }}\n}}\n"))

    def command(self, *more):
        return [find_program("nginx"), "-p", self.dir, "-e",
                self.path("error.log"), "-c", self.path("nginx.conf"), *more]

    def check(self):
        return self.command("-t")

    def reload(self):
        return self.command("-s", "reload")


class Haproxy(TlsServer):
    name = "haproxy"
    files = {"files": ["combined"], "combined_name": "site.pem"}

    def configure(self):
        # A new process takes the sockets over by the one it is told of.
        self.write("haproxy.cfg", (
            "global\n  stats socket " + self.path("sock") +
            " level admin expose-fd listeners\n  hard-stop-after 5s\n"
            "defaults\n  mode http\n  timeout connect 5s\n"
            "  timeout client 5s\n  timeout server 5s\n"
            f"frontend one\n  bind {self.where()} ssl crt "
            f"{self.certs}/site.pem\n  http-request return status 200\n"))

    def command(self):
        return [find_program("haproxy"), "-W", "-f",
                self.path("haproxy.cfg"), "-p", self.path("pid")]

    def check(self):
        return [find_program("haproxy"), "-c", "-q", "-f",
                self.path("haproxy.cfg")]

    def reload(self):
        return [find_program("kill"), "-USR2", str(self.proc.pid)] \
            if self.proc else ["/bin/true"]


class Apache(TlsServer):
    name = "apache"

    def configure(self):
        os.makedirs(self.path("root"), exist_ok=True)
        loads = "".join(f"LoadModule {m}_module {APACHE}/mod_{m}.so\n"
                        for m in ("mpm_event", "authz_core", "ssl",
                                  "socache_shmcb"))
        user = "User nobody\nGroup nogroup\n"
        self.write("apache.conf", (
            f"ServerRoot {self.dir}\nServerName www.example.com\n{loads}"
            f"{user}PidFile {self.path('apache.pid')}\n"
            f"ErrorLog {self.path('error.log')}\nListen {self.where()}\n"
            f"Mutex file:{self.dir}\nDocumentRoot {self.path('root')}\n"
            "StartServers 1\nGracefulShutdownTimeout 5\n"
            "SSLEngine on\n"
            f"SSLCertificateFile {self.certs}/fullchain.pem\n"
            f"SSLCertificateKeyFile {self.certs}/privkey.pem\n"))

    def command(self, *more):
        return [find_program("apache2"), "-f", self.path("apache.conf"),
                *(more or ["-D", "FOREGROUND"])]

    def check(self):
        return self.command("-t")

    def reload(self):
        return self.command("-k", "graceful")


class Client:
    """Connects every so often, and keeps whatever goes wrong."""

    def __init__(self, server, depot, gap=0.05, name="www.example.com"):
        self.server = server
        self.name = name
        self.gap = gap
        self.context = ssl.create_default_context()
        self.context.load_verify_locations(
            cadata="".join(c.public_bytes(ENCODING).decode()
                           for c in (depot.ca.root,)))
        self.trouble = []
        self.seen = []          # SHA-256, in order, without repeats
        self.count = 0
        self.end = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _once(self):
        with socket.create_connection(
                (self.server.address, self.server.port), 5) as link:
            with self.context.wrap_socket(
                    link, server_hostname=self.name) as tls:
                # The server has to show that it has the key, too.
                tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert tls.recv(12), "no answer"
                return hashlib.sha256(tls.getpeercert(True)).hexdigest()

    def _run(self):
        while not self.end.wait(self.gap):
            try:
                found = self._once()
            except (OSError, AssertionError) as error:
                self.trouble.append(repr(error))
                continue
            self.count += 1
            if not self.seen or self.seen[-1] != found:
                self.seen.append(found)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


def _encoding():
    from cryptography.hazmat.primitives import serialization
    return serialization.Encoding.PEM


ENCODING = _encoding()
