# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A Debian system in a folder, for systemd-nspawn to boot.

Either debootstrap makes it from the mirror that apt has here, or, quicker and
without a network, it is made of the files of the packages that are installed
on this machine: those that are essential and those that are asked for, with
all that they depend on, but no unit, user or file that came from elsewhere.
"""

import glob
import os
import re
import shutil
import subprocess

import pytest

import lab

DPKG = "/var/lib/dpkg"
# Which the scripts of packages would have made from a file beside them.
MADE = {"/usr/share/base-passwd/passwd.master": "/etc/passwd",
        "/usr/share/base-passwd/group.master": "/etc/group",
        "/usr/share/libc-bin/nsswitch.conf": "/etc/nsswitch.conf"}


def need(*names):
    for name in names:
        try:
            lab.find_program(name)
        except lab.LabError:
            pytest.skip(f"{name} is not installed")


def mirror():
    """The first mirror that apt has here, and its suite."""
    for path in sorted(glob.glob("/etc/apt/sources.list.d/*.sources")):
        with open(path, encoding="utf-8") as text:
            stanzas = text.read().split("\n\n")
        for stanza in stanzas:
            words = dict(re.findall(r"^(\w+): *(\S+)", stanza, re.M))
            if "URIs" in words and "-" not in words.get("Suites", "-"):
                return words["URIs"], words["Suites"]
    if os.path.exists("/etc/apt/sources.list"):
        with open("/etc/apt/sources.list", encoding="utf-8") as text:
            found = re.search(r"^deb (?:\[.*?\] )?(\S+) (\S+)", text.read(),
                              re.M)
        if found:
            return found.groups()
    return None


def debootstrap(tree, packages):
    need("debootstrap")
    where = mirror()
    if where is None:
        pytest.skip("apt has no mirror here")
    done = subprocess.run(
        [lab.find_program("debootstrap"), "--variant=minbase",
         "--include=" + ",".join(packages), where[1], tree, where[0]],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900,
        check=False)
    if done.returncode != 0 and b"Failed getting release" in done.stdout:
        pytest.skip(f"{where[0]} cannot be reached")
    assert done.returncode == 0, done.stdout[-2000:]


class Packages:
    """What dpkg says is installed here."""

    def __init__(self):
        self.stanzas = {}
        self.providers = {}
        with open(f"{DPKG}/status", encoding="utf-8") as text:
            for stanza in text.read().split("\n\n"):
                self.add(stanza)

    def add(self, stanza):
        field = dict(re.findall(r"^([\w-]+): *(.*)$", stanza, re.M))
        if not field.get("Status", "").endswith(" installed"):
            return
        name = field["Package"]
        if name in self.stanzas and field["Architecture"] != "all":
            return                  # another architecture's
        field["stanza"] = stanza
        self.stanzas[name] = field
        for word in re.findall(r"[\w.+-]+", re.sub(
                r"\([^)]*\)", "", field.get("Provides", ""))):
            self.providers.setdefault(word, name)

    def find(self, name):
        return name if name in self.stanzas else self.providers.get(name)

    def closure(self, names):
        wanted = [n for n, f in self.stanzas.items()
                  if f.get("Essential") == "yes"] + list(names)
        found = set()
        while wanted:
            name = self.find(wanted.pop())
            if name in found:
                continue
            if name is None:
                pytest.skip("packages of a small system are missing here")
            found.add(name)
            field = self.stanzas[name]
            for group in (field.get("Pre-Depends", "") + "," +
                          field.get("Depends", "")).split(","):
                choice = [self.find(re.split(r"[\s(:]", one.strip())[0])
                          for one in group.split("|") if one.strip()]
                if choice:
                    wanted.append(next(filter(None, choice), "?"))
        return sorted(found)

    def info(self, name):
        """Its files below info/."""
        found = glob.glob(f"{DPKG}/info/{glob.escape(name)}.*") + glob.glob(
            f"{DPKG}/info/{glob.escape(name)}:*.*")
        return [path for path in found if os.path.basename(path).rsplit(
            ".", 1)[0].split(":")[0] == name]


def files_of(packages, names):
    skip = re.compile(r"^/usr/share/(doc|man|locale|info|lintian)/.")
    paths = set()
    for name in names:
        for info in packages.info(name):
            paths.add(info)
            if not info.endswith(".list"):
                continue
            with open(info, encoding="utf-8") as text:
                paths.update(line for line in text.read().split("\n")
                             if line and line != "/." and
                             not skip.match(line))
    for text in glob.glob(f"{DPKG}/alternatives/*"):
        with open(text, encoding="utf-8") as lines:
            link = lines.read().split("\n")[1]
        if os.path.realpath(link) in paths or os.path.realpath(
                link).removeprefix("/usr") in paths:
            paths.update((link, os.path.join("/etc/alternatives",
                                             os.path.basename(text))))
    paths.update([f"{DPKG}/info/format", *glob.glob("/etc/pam.d/common-*")])
    return sorted(path for path in paths if os.path.lexists(path))


def from_installed(tree, names):
    need("tar", "ldconfig")
    packages = Packages()
    names = packages.closure(names)
    listing = tree + ".files"
    with open(listing, "w", encoding="utf-8") as out:
        out.writelines(path[1:] + "\0" for path in files_of(packages, names))
    os.mkdir(tree)
    for name in ("bin", "sbin", "lib", "lib64"):
        if os.path.islink("/" + name):
            os.symlink(os.readlink("/" + name), os.path.join(tree, name))
            os.makedirs(os.path.join(tree, os.readlink("/" + name)))
    pack = subprocess.Popen(
        ["tar", "-C", "/", "--null", "--no-recursion", "-T", listing,
         "-cf", "-"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    subprocess.run(["tar", "-C", tree, "--keep-directory-symlink", "-xpf",
                    "-"], stdin=pack.stdout, stderr=subprocess.PIPE,
                   check=True)
    pack.wait()
    os.unlink(listing)
    for folder, mode in (("dev", 0o755), ("proc", 0o755), ("sys", 0o755),
                         ("run", 0o755), ("tmp", 0o1777), ("root", 0o700),
                         ("var/lib/dpkg/updates", 0o755),
                         ("var/lib/dpkg/triggers", 0o755)):
        os.makedirs(os.path.join(tree, folder), exist_ok=True)
        os.chmod(os.path.join(tree, folder), mode)
    with open(tree + f"{DPKG}/status", "w", encoding="utf-8") as out:
        out.writelines(packages.stanzas[n]["stanza"].strip() + "\n\n"
                       for n in names)
    for source, to in MADE.items():
        shutil.copy(tree + source, tree + to)
    with open(tree + "/etc/machine-id", "w", encoding="ascii"):
        pass
    subprocess.run(["ldconfig", "-r", tree], check=True)
