# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A real nginx with one document root per address."""

import http.client
import os
import socket

from lab_net import Service, find_program, free_port, own_address


class Nginx(Service):
    """nginx; sites maps "ADDR:PORT" to a document root.

    With sites None there is one site on an address and port of its own,
    with the document root "root" below the directory.  With pem, a file
    with certificate and key, all sites speak TLS.
    """

    name = "nginx"

    def __init__(self, directory, sites=None, ns=None, pem=None):
        super().__init__(directory, ns)
        self.pem = pem
        if sites is None:
            address = own_address()
            sites = {f"{address}:{free_port(address, ns)}":
                     self.path("root")}
        self.sites = dict(sites)
        for root in self.sites.values():
            os.makedirs(root, exist_ok=True)
            os.chmod(root, 0o755)

    @property
    def root(self):
        return next(iter(self.sites.values()))

    @property
    def site(self):
        return next(iter(self.sites))

    def configuration(self):
        user = "user root;\n" if os.geteuid() == 0 else ""
        tls = (f" ssl; ssl_certificate {self.pem}; ssl_certificate_key"
               f" {self.pem}" if self.pem else "")
        servers = "".join(
            f"  server {{ listen {where}{tls}; root {root}; access_log "
            f"{self.path('access.log')}; }}\n"
            for where, root in self.sites.items())
        temporary = "".join(
            f"  {kind}_temp_path {self.path('tmp')};\n" for kind in
            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return (f"{user}daemon off;\nworker_processes 1;\n"
                f"pid {self.path('nginx.pid')};\n"
                f"error_log {self.path('error.log')};\n"
                "events { worker_connections 256; }\n"
                "http {\n  default_type application/octet-stream;\n"
                f"{temporary}{servers}}}\n")

    def start(self):
        self.write("nginx.conf", self.configuration())
        self.spawn([find_program("nginx"), "-p", self.dir, "-e",
                    self.path("error.log"), "-c", self.path("nginx.conf")])
        self.wait_ready()
        return self

    def ready(self):
        for where in self.sites:
            address, port = where.rsplit(":", 1)
            try:
                socket.create_connection((address.strip("[]"), int(port)),
                                         1).close()
            except OSError:
                return False
        return True

    def _fetch(self, where, path, host):
        address, port = where.rsplit(":", 1)
        link = http.client.HTTPConnection(address.strip("[]"), int(port),
                                          timeout=5)
        try:
            link.request("GET", path, headers={"Host": host})
            answer = link.getresponse()
            return answer.status, answer.read()
        finally:
            link.close()

    def fetch(self, path, host="www.example.test", where=None):
        """(status, body) of one GET."""
        return self.call(self._fetch, where or self.site, path, host)

    def log(self):
        with open(self.path("access.log"), errors="replace") as text:
            return text.read()


def tree(root):
    """Every file below root with its bytes: {relative path: bytes}."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as one:
                found[os.path.relpath(path, root)] = one.read()
    return found
