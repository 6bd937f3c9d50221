#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
#
# Runs in the booted container as root; each step leaves a file in /results:
# its output, and its status in NAME.status.  Then the machine goes off.

mkdir -p /results
home=$(getent passwd root | cut -d: -f6)

step()
{
	name=$1
	shift
	"$@" >"/results/$name" 2>&1
	echo $? >"/results/$name.status"
}

# Waits until a property of the service has this value.
until_is()
{
	for i in $(seq 150); do
		[ "$(systemctl show -P "$1" placardd)" = "$2" ] && return 0
		sleep 0.1
	done
	systemctl show placardd
	return 1
}

traces()
{
	find / -xdev \( -path /proc -o -path /sys -o -path /run/systemd/units \
		-o -path /results -o -path /var/log \) -prune -o \
		-name '*placard*' ! -name 'placard_*.deb' \
		! -path '/placard.built*' ! -name 'placard-steps*' -print
	getent passwd placard
	getent group placard
	true
}

watchdog()
{
	mkdir -p /run/systemd/system/placardd.service.d
	printf '[Service]\nWatchdogSec=2\n' \
		>/run/systemd/system/placardd.service.d/watchdog.conf
	systemctl daemon-reload
	systemctl restart placardd
	before=$(systemctl show -P MainPID placardd)
	kill -STOP "$before"
	for i in $(seq 100); do
		[ "$(systemctl show -P NRestarts placardd)" -ge 1 ] && break
		sleep 0.1
	done
	until_is ActiveState active
	echo "before=$before after=$(systemctl show -P MainPID placardd)"
	echo "restarts=$(systemctl show -P NRestarts placardd)"
	echo "result=$(systemctl show -P Result placardd)"
	rm /run/systemd/system/placardd.service.d/watchdog.conf
	systemctl daemon-reload
	systemctl restart placardd
}

publish()
{
	mkdir -p /srv/www /etc/systemd/system/placardd.service.d
	chown placard /srv/www
	printf '[Service]\nReadWritePaths=/srv/www\nLoadCredential=key:%s/key\n' "$home" \
		>/etc/systemd/system/placardd.service.d/www.conf
	echo secret >"$home/key"
	cat >/etc/placard/conf.d/web.conf <<-EOF
	account "web" { provider = "file"  root = "/srv/www" }
	route "example.test" { account = "web" }
	verify { site-local = true  http-servers = { "127.0.0.1:9" } }
	service { deadline = 3s }
	EOF
	systemctl daemon-reload
	systemctl restart placardd
	echo '{"job":"one","challenges":[{"method":"http-01",
		"domain":"www.example.test","token":"token-0123456789abcdef",
		"key-authorization":"token-0123456789abcdef.x"}]}' |
		tr -d '\n' >"$home/job.json"
	placard job submit "$home/job.json" || return 1
	for i in $(seq 50); do
		[ -s /srv/www/.well-known/acme-challenge/token-0123456789abcdef ] && break
		sleep 0.1
	done
	cat /srv/www/.well-known/acme-challenge/token-0123456789abcdef
	echo
	systemctl reload placardd || return 1
	placard job show one || return 1
	placard job wait one --timeout 20
	placard job release one
	placard job wait one --timeout 20
	find /srv/www -type f
	journalctl -u placardd --no-pager -o cat
}

bad_reload()
{
	echo 'nonsense = 1' >/etc/placard/conf.d/bad.conf
	systemctl reload placardd && return 9
	rm /etc/placard/conf.d/bad.conf
	systemctl reload placardd
}

# The responder's ports, which only root may bind, come from a socket unit.
socket()
{
	sed -e 's/192\.0\.2\.53/127.0.0.1/' -e '/2001:db8/d' \
		/usr/share/placard/placardd.socket \
		>/etc/systemd/system/placardd.socket
	mv /etc/placard/conf.d/web.conf /web.conf
	cat >/etc/placard/conf.d/self.conf <<-EOF
	account "self" {
		provider = "responder"  zones = { "self.test" }
		ns = { "ns1.self.test 127.0.0.1" }
		listen = { "127.0.0.1" }  http-listen = { "127.0.0.1" }
	}
	route "self.test" { account = "self" }
	verify { servers = { "127.0.0.1" }  resolvers = { "127.0.0.1" }
		site-local = true }
	EOF
	systemctl daemon-reload
	systemctl stop placardd
	systemctl start placardd.socket placardd || return 1
	echo '{"job":"two","challenges":[{"method":"dns-01","domain":"self.test",
		"value":"LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"}]}' |
		tr -d '\n' | placard job submit - || return 1
	placard --json job wait two --timeout 30 || return 1
	# Which port it is, as the kernel says: 0035.
	grep -q '0100007F:0035' /proc/net/udp && echo listening=53
	placard job release two
	placard job wait two --timeout 30
	systemctl stop placardd.socket placardd
	rm /etc/systemd/system/placardd.socket /etc/placard/conf.d/self.conf
	mv /web.conf /etc/placard/conf.d/web.conf
	systemctl daemon-reload
	systemctl start placardd
}

# As another supervisor would: in the foreground, as the user placard.
runs_alone()
{
	mkdir -p /run/placard
	chown placard /run/placard
	setpriv --reuid=placard --regid=placard --init-groups \
		"$(command -v placardd)" &
	for i in $(seq 100); do
		placard service status && break
		sleep 0.1
	done
	placard job list || return 1
	kill $!
	wait $! || return 1
	rmdir /run/placard
}

# The same unit, with a prober in placardd's place.
sandbox()
{
	unit=$(systemctl show -P FragmentPath placardd)
	sed -e 's|^ExecStart=.*|ExecStart=/usr/bin/perl /placard-steps-probe.pl|' \
	    -e 's|^Type=.*|Type=oneshot|' -e '/^ExecReload/d' \
	    -e '/^Watchdog/d' -e '/^RuntimeDirectory/d' -e '/^Restart/d' -e '/^StartLimit/d' \
	    "$unit" >/run/systemd/system/probe.service
	mkdir -p /run/systemd/system/probe.service.d
	printf '[Service]\nLoadCredential=key:%s/key\n' "$home" \
		>/run/systemd/system/probe.service.d/key.conf
	systemctl daemon-reload
	perl -e 'print "host-landlock=", (syscall(444, 0, 0, 1) > 0 ? "yes" : "no"), "\n"'
	systemctl start probe
	journalctl -u probe --no-pager -o cat
	systemctl stop probe
	rm -r /run/systemd/system/probe.service*
	systemctl daemon-reload
}

not_for_others()
{
	useradd --create-home other
	su other -s /bin/sh -c 'placard job list'
	echo "outsider=$?"
	gpasswd -a other placard >/dev/null
	su other -s /bin/sh -c 'placard job list'
	echo "member=$?"
	su other -s /bin/sh -c '
		umask 027
		echo "{\"job\":\"theirs\",\"challenges\":[{\"method\":\"email\",\"domain\":\"example.test\"}]}" >~/j
		cp ~/j /var/lib/placard/incoming/.j && mv /var/lib/placard/incoming/.j /var/lib/placard/incoming/j'
	for i in $(seq 50); do
		[ -e /var/lib/placard/incoming/j.report ] && break
		sleep 0.1
	done
	su other -s /bin/sh -c 'cat /var/lib/placard/incoming/j.report; placard --json job list'
	# One that the service cannot read is moved aside, and says why.
	su other -s /bin/sh -c '
		umask 077
		cp ~/j /var/lib/placard/incoming/.k && mv /var/lib/placard/incoming/.k /var/lib/placard/incoming/k'
	for i in $(seq 50); do
		[ -e /var/lib/placard/rejected/k.reason ] && break
		sleep 0.1
	done
	su other -s /bin/sh -c 'cat /var/lib/placard/rejected/k.reason; ls /var/lib/placard/incoming'
	su other -s /bin/sh -c 'cat /var/lib/placard/journal.db' >/dev/null
	echo "journal=$?"
	userdel -r other 2>/dev/null
}

stop_quickly()
{
	start=$(date +%s%N)
	systemctl stop placardd || return 1
	end=$(date +%s%N)
	echo "ms=$(( (end - start) / 1000000 ))"
	until_is ActiveState inactive
	systemctl start placardd
}

# Without a package: what was built, and one command.
own_files()
{
	cp -a /placard.built/. /
	hash -r
	(umask 077; echo 'a key' >"$home/agent")
}

own_files_gone()
{
	(cd /placard.built && find . ! -type d) |
		while read -r f; do rm -f "/$f"; done
	rm -rf /usr/local/share/placard /usr/local/libexec/placard
}

if [ "$1" = without ]; then
	own_files
	step without_install placard service install \
		--agent-key-file "$home/agent"
	step without_again placard service install \
		--agent-key-file "$home/agent"
	step without_key stat -c '%U %a' /etc/placard/agent.key
	step without_check placardd -t
	step without_start placard service start
	step without_runs runs_alone
	step without_purge placard service uninstall --purge
	own_files_gone
	step without_after traces
	exit
fi

step before traces
step install dpkg -i /placard_*.deb
step active until_is ActiveState active
step status placard service status
step properties systemctl show placardd
step exposure systemd-analyze security --offline=false --threshold=15 placardd
step reload systemctl reload placardd
step bad_reload bad_reload
step publish publish
step socket socket
step sandbox sandbox
step others not_for_others
step watchdog watchdog
step stop stop_quickly
step again placard service install
step running placard service status
rm -rf /etc/systemd/system/placardd.service.d /etc/placard/conf.d/web.conf \
	/srv/www "$home/key" "$home/job.json"
step uninstall placard service uninstall
step kept ls /var/lib/placard/journal.db
step purge dpkg -P placard
step after traces

own_files
echo 'nonsense = 1' >/wrong.conf
step own_wrong placard service install --config /wrong.conf
step own_wrong_after ls -A /etc/placard /var/lib/placard
rm /wrong.conf
chmod 644 "$home/agent"
step own_open_key placard service install --agent-key-file "$home/agent"
step own_open_key_after ls -A /etc/placard /var/lib/placard
chmod 600 "$home/agent"
step own_install placard service install --agent-key-file "$home/agent"
step own_twice placard service install --agent-key-file "$home/agent"
step own_active until_is ActiveState active
step own_status placard --json service status
step own_key stat -c '%U %a' /etc/placard/agent.key /etc/placard/.installed
step own_stop placard service stop
step own_start placard service start
echo 'service { max-jobs = 7 }' >/given.conf
step own_given placard service install --config /given.conf
step own_given_is cat /etc/placard/placard.conf
step own_given_state placard --json service status
echo '# mine' >>/etc/placard/placard.conf
step own_other placard service install --config /given.conf
rm /given.conf
step own_json placard --json service install
step own_uninstall placard --json service uninstall
step own_kept ls /var/lib/placard/journal.db
step own_gone until_is LoadState not-found
rm -r /etc/placard
step own_back placard service install
step own_purge placard service uninstall --purge
own_files_gone
step own_after traces
journalctl --no-pager -o cat -u placardd >/results/log
systemctl poweroff
