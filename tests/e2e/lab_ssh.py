# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Real SSH servers: OpenSSH with users of its own, and ProFTPD's mod_sftp.

Both run as root.  sshd gets a mount namespace in which /etc/passwd and
its kin are ours, so that users and passwords exist for it alone.
"""

import base64
import hashlib
import os
import select
import shutil
import socket
import subprocess
import threading

from lab_net import Service, find_program, free_port, own_address

USER = "webber"
UID = 23457
PASSWORD = "a pass phrase: \"q\" & c."


def hashed(password):
    """As it stands in a file of shadow passwords."""
    return subprocess.run(
        [find_program("openssl"), "passwd", "-6", "-stdin"], check=True,
        input=password + "\n", stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def keygen(path, kind="ed25519", passphrase="", form=None):
    """A key pair at path and path.pub; the path."""
    argv = [find_program("ssh-keygen"), "-q", "-t", kind, "-N", passphrase,
            "-C", "lab", "-f", str(path)]
    if form:
        argv += ["-m", form]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    os.chmod(path, 0o600)
    return str(path)


def public(path):
    """Type and blob of a public key."""
    with open(str(path) + ".pub", encoding="ascii") as text:
        kind, blob = text.read().split()[:2]
    return kind, blob


def fingerprint(path):
    digest = hashlib.sha256(base64.b64decode(public(path)[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def host_line(path, name, marker=""):
    return f"{marker}{name} {' '.join(public(path))}\n"


class SftpServer(Service):
    """What both have: a directory of keys, one address, one root."""

    def __init__(self, directory, kinds=("ed25519",), address=None,
                 root=None):
        super().__init__(directory)
        self.address = address or own_address()
        self.port = free_port(self.address)
        self.kinds = kinds
        self.hostkeys = {}
        for kind in kinds:
            self.hostkeys[kind] = keygen(self.path(f"host_{kind}"), kind,
                                         form=self.host_form)
        self.userkey = keygen(self.path("user_key"))
        # The chroot is root's; the document root below it the user's.
        self.jail = root or self.path("jail")
        os.makedirs(self.jail, exist_ok=True)
        os.chmod(self.jail, 0o755)
        self.root = os.path.join(self.jail, "htdocs")
        os.makedirs(self.root, exist_ok=True)
        os.chown(self.root, UID, UID)

    host_form = None

    @property
    def name_in_file(self):
        return f"[{self.address}]:{self.port}"

    def where(self):
        return f"{self.address}:{self.port}"

    def known_hosts(self, *kinds, name=None):
        """A file with our host keys."""
        return self.write("known_hosts", "".join(
            host_line(self.hostkeys[k], name or self.name_in_file)
            for k in kinds or self.kinds))

    def allow(self, *keys):
        """Public key files that may log in."""
        self.write("authorized_keys", "".join(
            " ".join(public(k)) + "\n" for k in keys))

    def options(self, **more):
        """Options of an account that works."""
        options = {"host": self.address, "port": self.port, "user": USER,
                   "private_key_file": self.userkey,
                   "known_hosts_file": self.known_hosts(),
                   "root": "/htdocs"}
        options.update(more)
        return {k: v for k, v in options.items() if v is not None}

    def ready(self):
        try:
            with socket.create_connection((self.address, self.port), 1) as s:
                return s.recv(4) == b"SSH-"
        except OSError:
            return False


class Sshd(SftpServer):
    """OpenSSH, chrooted internal-sftp."""

    name = "sshd"

    def __init__(self, directory, more="", subsystem="internal-sftp",
                 chroot=True, before="", **rest):
        super().__init__(directory, **rest)
        self.more = more
        self.subsystem = subsystem
        self.chroot = chroot
        self.before = before

    def configuration(self):
        keys = "".join(f"HostKey {p}\n" for p in self.hostkeys.values())
        # Every folder above a chroot must be root's: /mnt stands for ours.
        jail = "ChrootDirectory /mnt\n" if self.chroot else ""
        return (f"ListenAddress {self.address}:{self.port}\n{keys}"
                f"PidFile none\nStrictModes no\nUsePAM yes\n"
                f"AuthorizedKeysFile {self.path('authorized_keys')}\n"
                f"{self.more}"      # the first word for an option counts
                "PasswordAuthentication yes\nLogLevel VERBOSE\n"
                "KbdInteractiveAuthentication no\nMaxStartups 100\n"
                f"Subsystem sftp {self.subsystem}\n{jail}")

    def start(self):
        if not os.path.exists(self.path("authorized_keys")):
            self.allow(self.userkey)
        conf = self.write("sshd_config", self.configuration())
        line = f"{USER}:x:{UID}:{UID}::/:/bin/sh\n"
        with open("/etc/passwd", encoding="utf-8") as text:
            self.write("passwd", text.read() + line)
        with open("/etc/group", encoding="utf-8") as text:
            self.write("group", text.read() + f"{USER}:x:{UID}:\n")
        with open("/etc/shadow", encoding="utf-8") as text:
            self.write("shadow", text.read() +
                       f"{USER}:{hashed(PASSWORD)}:19000:0:99999:7:::\n")
        self.write("pam", "auth required pam_unix.so\n"
                   "account required pam_permit.so\n"
                   "session required pam_permit.so\n")
        os.makedirs(self.path("run"), exist_ok=True)
        os.chmod(self.path("run"), 0o755)
        binds = "".join(
            f"mount --bind {self.jail if name == 'jail' else self.path(name)} "
            f"{to}; " for name, to in (
                ("passwd", "/etc/passwd"), ("group", "/etc/group"),
                ("shadow", "/etc/shadow"), ("pam", "/etc/pam.d/sshd"),
                ("run", "/run/sshd"), ("jail", "/mnt"))
            if os.path.exists(to))
        make = "" if os.path.isdir("/run/sshd") else "mkdir -p /run/sshd; "
        self.spawn([find_program("unshare"), "-m", "/bin/sh", "-c",
                    "set -e; mount --make-rprivate /; " + make + binds +
                    self.before +
                    f"exec {find_program('sshd')} -D -e -f {conf}"])
        self.wait_ready()
        return self


class Proftpd(SftpServer):
    """ProFTPD with mod_sftp."""

    name = "proftpd"
    host_form = "PEM"

    def start(self):
        if not os.path.exists(self.path("authorized_keys")):
            self.allow(self.userkey)
        keys = os.path.join(self.dir, "keys")
        os.makedirs(keys, exist_ok=True)
        done = subprocess.run(
            [find_program("ssh-keygen"), "-e", "-f", self.userkey + ".pub"],
            check=True, stdout=subprocess.PIPE, text=True)
        self.write(f"keys/{USER}", done.stdout)
        self.write("users", f"{USER}:{hashed(PASSWORD)}:{UID}:{UID}::{self.jail}:"
                   "/bin/sh\n", 0o600)
        self.write("groups", f"{USER}:x:{UID}:\n", 0o600)
        hosts = "".join(f"  SFTPHostKey {p}\n"
                        for p in self.hostkeys.values())
        modules = "/usr/lib/proftpd"
        conf = self.write("proftpd.conf", (
            f"ModulePath {modules}\nLoadModule mod_tls.c\n"
            "LoadModule mod_sftp.c\n"
            f"ServerType standalone\nDefaultAddress {self.address}\n"
            f"Port {self.port}\nSocketBindTight on\nUseIPv6 off\n"
            f"PidFile {self.path('pid')}\n"
            f"ScoreboardFile {self.path('scoreboard')}\n"
            f"SystemLog {self.path('system.log')}\n"
            f"DelayTable {self.path('delay')}\nDelayEngine off\n"
            f"AuthUserFile {self.path('users')}\n"
            f"AuthGroupFile {self.path('groups')}\nAuthOrder mod_auth_file.c\n"
            "RequireValidShell off\nUser nobody\nGroup nogroup\n"
            f"DefaultRoot {self.jail}\nUmask 022\n"
            "<IfModule mod_sftp.c>\n  SFTPEngine on\n"
            f"  SFTPLog {self.path('sftp.log')}\n{hosts}"
            f"  SFTPAuthorizedUserKeys file:{keys}/%u\n"
            "  SFTPCompression off\n</IfModule>\n"))
        self.spawn([find_program("proftpd"), "-n", "-c", conf])
        self.wait_ready()
        return self


class Cutter:
    """A TCP proxy that cuts, or falls silent, after so many octets from
    the server."""

    def __init__(self, server, limit=None, silent=False):
        self.to = (server.address, server.port)
        self.limit = limit
        self.silent = silent
        self.most = 0           # that one connection has carried
        self.links = 0
        self.socket = socket.socket()
        self.socket.bind((server.address, 0))
        self.socket.listen(64)
        self.address, self.port = self.socket.getsockname()
        self.end = threading.Event()
        self.threads = []
        self.main = threading.Thread(target=self._accept)
        self.main.start()

    def _accept(self):
        while not self.end.is_set():
            if not select.select([self.socket], [], [], 0.1)[0]:
                continue
            link = self.socket.accept()[0]
            self.links += 1
            one = threading.Thread(target=self._carry, args=(link,))
            one.start()
            self.threads.append(one)

    def _carry(self, near):
        far = socket.create_connection(self.to)
        carried = 0
        with near, far:
            while not self.end.is_set():
                ready = select.select([near, far], [], [], 0.1)[0]
                for one in ready:
                    try:
                        data = one.recv(65536)
                    except OSError:
                        return
                    if not data:
                        return
                    if one is near:
                        far.sendall(data)
                        continue
                    if self.limit is not None and \
                            carried + len(data) > self.limit:
                        near.sendall(data[:self.limit - carried])
                        if self.silent:
                            self.end.wait(120)
                        return
                    carried += len(data)
                    self.most = max(self.most, carried)
                    try:
                        near.sendall(data)
                    except OSError:
                        return

    def close(self):
        self.end.set()
        self.main.join()
        for one in self.threads:
            one.join()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def remove_tree(path):
    shutil.rmtree(path, ignore_errors=True)
