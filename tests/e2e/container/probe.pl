#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
#
# What can be done inside the service's sandbox: one line each.

use strict;
use warnings;
use Socket;

sub try {
	my ($name, $did) = @_;
	print "$name=", ($did ? "yes" : "no"), "\n";
}

sub can_write {
	open(my $f, ">", shift) or return 0;
	close $f;
	return 1;
}

sub can_read {
	open(my $f, "<", shift) or return 0;
	return defined(<$f>) || 1;
}

$| = 1;
try("state", can_write("/var/lib/placard/probe"));
unlink "/var/lib/placard/probe";
try("etc", can_write("/etc/probe"));
try("usr", can_write("/usr/probe"));
try("srv", can_write("/srv/probe"));
try("home", can_read((getpwuid(0))[7] . "/key"));
try("shadow", can_read("/etc/shadow"));
try("credential", can_read("$ENV{CREDENTIALS_DIRECTORY}/key"));
my $mode = sprintf "%o", (stat "$ENV{CREDENTIALS_DIRECTORY}/key")[2] & 0777;
print "credential-mode=$mode\n";
my $x86 = `uname -m` =~ /x86_64/;
if ($x86) {
	my ($none, $tmp, $tmpfs) = ("none", "/tmp", "tmpfs");
	try("landlock", syscall(444, 0, 0, 1) > 0);
	try("mount", syscall(165, $none, $tmp, $tmpfs, 0, 0) == 0);
	try("unshare", syscall(272, 0x10000000) == 0);
	try("chroot", syscall(161, $tmp) == 0);
	try("ptrace", syscall(101, 0, 0, 0, 0) == 0);
	try("bpf", syscall(321, 0, 0, 0) == 0);
	try("setuid", syscall(105, 0) == 0);
}
try("packet", socket(my $p, 17, SOCK_RAW, 0));
try("inet", socket(my $i, AF_INET, SOCK_STREAM, 0));
try("device", can_read("/dev/mem"));
try("kernel", can_write("/proc/sys/kernel/hostname"));
try("other-processes", -d "/proc/1");
print "done\n";
