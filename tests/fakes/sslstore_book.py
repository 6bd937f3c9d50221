# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The fake store's memory: orders, their domains, certificates and mails.

Everything here is done under Book.lock, except looking at the world, which
takes its time: look() works on a copy and says what it saw afterwards.
"""

import concurrent.futures
import itertools
import secrets
import threading
import time
import traceback

import sslstore_ca
import sslstore_dcv
from sslstore_products import PRODUCTS

DAY = 86400

# What the store does where sources leave it open, or where a test wants
# it to misbehave.  name -> (value at the start, what it means)
BEHAVIOUR = {
    "silent_downgrade": (False, "every new order becomes an e-mail order"),
    "org_vetting": ("auto", "auto, or manual: wait for /__fake/vet"),
    "issue_delay": (0, "seconds between the last approval and the issue"),
    "refund": ("immediate", "immediate, poll (next round), manual, refuse"),
    "refund_window": (30, "days"),
    "revoked_major": ("Revoked", "MajorStatus after a revocation"),
    "csr_refuse": ({}, "vendor -> forms refused: pem oneline base64 percent"),
    "unique_when_missing": ("none", "none, or generate a CSRUniqueValue"),
    "duplicate_custom_id": ("accept", "accept or refuse"),
    "token_reuse": ("refuse", "same CSR and CSRUniqueValue: refuse, accept"),
    "query_ignores_token": (False, "as the sandbox was seen to do"),
    "digicert_cname_flag": ("cname", "cname, or txt"),
    "txt_owner": ("", "'' for the domain itself, or _dnsauth"),
    "checkdcv_error": (True, "a failed re-check is an error, or silent"),
    "prevalidated": ([], "registered domains whose control is known"),
    "dcv_reuse": (False, "a reissue keeps the approvals of its names"),
    "cert_days": (199, "longest life of one certificate"),
    "page_cap": (0, "greatest PageSize, 0 for none"),
    "page_order": ("newest", "newest, oldest, shuffled"),
}


class Domain:
    """One name of an order and the proof that is asked for it."""

    def __init__(self, name, method, approver=None):
        self.name = name
        self.method = method
        self.approver = approver
        self.approved = False
        self.challenge = None
        self.polled = None
        self.poll_text = None
        self.log = []

    def dump(self):
        return {"name": self.name, "method": self.method,
                "approver": self.approver, "approved": self.approved,
                "challenge": self.challenge, "log": self.log}


class Certificate:
    """What was issued; the X.509 form is made when somebody wants it."""

    def __init__(self, names, start, end, public_key, subject, serial=None):
        self.names = names
        self.start, self.end = start, end
        self.public_key = public_key
        self.subject = subject
        self.serial = serial or sslstore_ca.new_serial()
        self.revoked = None
        self._made = None

    def made(self, authority, validation):
        if self._made is None:
            key = self.public_key or authority.spare_key()
            self._made = authority.issue(
                key, self.names[0], self.names, self.start, self.end,
                self.serial, validation, **self.subject)
        return self._made

    @property
    def serial_text(self):
        return "%034X" % self.serial


class Order:
    """One order, from the paid invitation to the last certificate."""

    def __init__(self, number, partner, vendor_number, product, now):
        self.number = number
        self.partner = partner
        self.vendor_number = vendor_number
        self.product = product
        self.custom_id = ""
        self.months = 12
        self.servers = 1
        self.web_server = "Other"
        self.common = ""
        self.sans = []
        self.extra_names = []
        self.domains = []
        self.request = None
        self.digests = None
        self.unique = ""
        self.body = {}
        self.approver_text = ""
        self.signature = ""
        self.tss_org = 0
        self.purchased = self.modified = now
        self.expiry = None
        self.major, self.minor = "Pending", "PENDING"
        self.certificates = []
        self.vetted = True
        self.ready = None
        self.refund_id = None
        self.refund = None
        self.renewal_of = None
        self.invite = None          # open, claimed
        self.token = None
        self.frozen = False
        self.notes = []

    @property
    def family(self):
        return "sectigo" if self.product.sectigo else "digicert"

    @property
    def names(self):
        return [self.common] + self.sans + self.extra_names

    @property
    def certificate(self):
        return self.certificates[-1] if self.certificates else None

    @property
    def waiting(self):
        """The CA has something to do."""
        return self.major == "Pending" or self.minor == "PENDING_REISSUE"

    def contact(self, who):
        return self.body.get(who) or {}

    def subject(self, organisation):
        """Subject fields of the certificate beside the common name."""
        if not self.product.vetted:
            return {}
        if organisation:
            return {"O": organisation["Name"], "L": organisation["City"],
                    "ST": organisation["State"],
                    "C": organisation["Country"].upper()}
        info = self.body.get("OrganizationInfo") or {}
        place = info.get("OrganizationAddress") or {}
        country = place.get("Country", "").upper()
        return {"O": info.get("OrganizationName"),
                "L": place.get("LocalityName") or place.get("City"),
                "ST": place.get("Region"),
                "C": country if len(country) == 2 else None}


def organisation(number, name, vendor_number, status="active"):
    """One entry of /digicert/organizationlist."""
    return {
        "Address": "1 Main Street", "Address2": "", "ApproversContact": None,
        "AssumedName": "", "City": "Akron", "Country": "us", "Name": name,
        "OrganizationContact": {
            "Email": "pki@example.com", "Firstname": "Ada",
            "JobTitle": "Admin", "Lastname": "Example",
            "Phone": "13305550100", "Phone_Extension": "", "Username": ""},
        "Organization_Phone": "13305550100", "State": "Ohio", "Zip": "44301",
        "Status": status, "TSSOrganizationId": number,
        "VendorOrganizationId": vendor_number}


class Book:
    """All orders and the CA behind them."""

    def __init__(self, checker, authority, poll_interval=1.0):
        self.lock = threading.RLock()
        self.checker = checker
        self.authority = authority
        self.poll_interval = poll_interval
        self.offset = 0.0
        self.stop = threading.Event()
        self.reset()

    def reset(self):
        """Forget everything but the CA."""
        with self.lock:
            self.orders = {}
            self.by_custom = {}
            self.used_tokens = set()
            self.mails = []
            self.callbacks = {}
            self.behaviour = {k: v[0] for k, v in BEHAVIOUR.items()}
            self.organisations = [
                organisation(4711, "Example Widgets", 990011),
                organisation(4712, "Example Gadgets", 990012),
                organisation(4713, "Example Retired", 990013, "inactive")]
            self._numbers = itertools.count(50200001)
            self._partners = itertools.count(70100001)
            self._vendors = itertools.count(880000001)
            self._refunds = itertools.count(30001)

    # time and identity

    def now(self):
        return time.time() + self.offset

    def set_offset(self, seconds):
        with self.lock:
            self.offset = seconds
            for order in self.orders.values():
                self.age(order)

    def age(self, order):
        """An active order whose certificate has run out is expired."""
        held = order.certificate
        if order.major == "Active" and held and held.end < self.now():
            order.major, order.minor = "Expired", "EXPIRED"
            self.touch(order)

    def touch(self, order, note=None):
        order.modified = self.now()
        if note:
            order.notes.append((order.modified, note))

    def add(self, product, custom_id=""):
        order = Order(next(self._numbers), next(self._partners),
                      next(self._vendors), product, self.now())
        order.custom_id = custom_id
        self.orders[order.number] = order
        if custom_id:
            self.by_custom.setdefault(custom_id, order)
        return order

    def find(self, number="", custom_id=""):
        """By the store's number, else by the caller's own; None."""
        order = None
        if number:
            order = self.orders.get(int(number)) if number.isdigit() else None
        elif custom_id:
            order = self.by_custom.get(custom_id)
        if order:
            self.age(order)
        return order

    def new_partner(self, order):
        order.partner = next(self._partners)

    def new_refund(self):
        return str(next(self._refunds))

    def organisation(self, number):
        for entry in self.organisations:
            if entry["TSSOrganizationId"] == number:
                return entry
        return None

    def mail(self, order, domain):
        """The approver mail of one domain."""
        to = domain.approver or sslstore_dcv.approvers(domain.name)[0]
        self.mails.append({"order": str(order.number), "to": to,
                           "domain": domain.name, "time": self.now()})

    # the proof

    def prove(self, order, plan):
        """Ask for proof: plan is [(name, method, approver)]."""
        before = {d.name: d for d in order.domains}
        order.domains = []
        for name, method, approver in plan:
            domain = Domain(name, method, approver)
            old = before.get(name)
            domain.approved = (
                sslstore_dcv.registered(name) in self.behaviour["prevalidated"]
                or bool(self.behaviour["dcv_reuse"] and old and old.approved))
            self.challenge(order, domain)
            order.domains.append(domain)

    def challenge(self, order, domain):
        md5, sha256 = order.digests
        domain.challenge = sslstore_dcv.make(
            order.family, domain.method, domain.name, md5, sha256,
            order.unique, self.behaviour["txt_owner"])
        domain.log = []
        if domain.method == "email" and not domain.approved:
            self.mail(order, domain)

    def change_method(self, order, domain, method, approver):
        """Another proof for one domain; the same one keeps its token."""
        if approver:
            domain.approver = approver
        if domain.method != method:
            domain.method = method
            self.challenge(order, domain)
        elif method == "email":
            self.mail(order, domain)
        self.touch(order)

    def look(self, order, names=None):
        """Look at the world for the undecided domains of an order (those
        in names, or all), then go on with it.  Not under the lock."""
        with self.lock:
            if not order.waiting:
                return
            work = [(d, d.method, dict(d.challenge)) for d in order.domains
                    if not d.approved and d.method != "email"
                    and (names is None or d.name in names)]
        for domain, method, challenge in work:
            seen, text = self.checker.look(order.family, method, domain.name,
                                           challenge)
            with self.lock:
                if domain.challenge != challenge:
                    continue
                domain.polled = self.now()
                domain.poll_text = "Found" if seen else "NotFound"
                if len(domain.log) < 50:
                    domain.log.append({"seen": seen, "text": text})
                if seen:
                    domain.approved = True
                    self.touch(order)
        with self.lock:
            self.settle(order)

    def approve(self, order, name=None):
        """Somebody clicked the link in the approver mail (or a test says
        that control is proven)."""
        with self.lock:
            for domain in order.domains:
                if name in (None, domain.name):
                    domain.approved = True
            self.touch(order)
            self.settle(order)

    def settle(self, order):
        """Issue when nothing is missing any more."""
        if not order.waiting or order.invite == "open":
            return
        if not all(d.approved for d in order.domains):
            return
        if not order.vetted and self.behaviour["org_vetting"] == "auto":
            order.vetted = True
        if not order.vetted:
            return
        if order.ready is None:
            order.ready = self.now() + self.behaviour["issue_delay"]
        if order.ready <= self.now():
            self.issue(order)

    def issue(self, order):
        """Sign for the names of the order."""
        order.ready = None
        now = self.now()
        start = now - now % DAY
        if order.expiry is None:
            order.expiry = start + order.months * 365 * DAY // 12 + DAY - 1
        end = min(order.expiry,
                  start + self.behaviour["cert_days"] * DAY - 1)
        order.major, order.minor = "Active", "ISSUED"
        if order.product.validation != "SCANNING":
            order.certificates.append(Certificate(
                order.names, start, end,
                order.request.public_key if order.request else None,
                order.subject(self.organisation(order.tss_org))))
        self.touch(order, "certificate issued")

    def revoke(self, order, reason):
        for held in order.certificates:
            held.revoked = held.revoked or {"time": self.now(),
                                            "reason": reason}

    def cancel(self, order):
        """The refund was approved."""
        self.revoke(order, "refund")
        order.refund = "approved"
        order.major, order.minor = "Cancelled", "CANCELLED"
        self.touch(order, "order cancelled")

    # the clock

    def poll(self):
        """One round of the CA's own polling."""
        with self.lock:
            for order in self.orders.values():
                self.age(order)
                if order.refund == "asked" \
                        and self.behaviour["refund"] == "poll":
                    self.cancel(order)
            work = [o for o in self.orders.values()
                    if o.waiting and not o.frozen]
        if work:
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                list(pool.map(self.look, work))

    def run(self):
        """Poll until stopped; for a thread of its own."""
        while not self.stop.wait(self.poll_interval):
            try:
                self.poll()
            except Exception:       # a broken round must not end all rounds
                traceback.print_exc()

    # books made to measure

    def seed(self, count, states=("Active",), products=("positivessl",),
             suffix="example.com", prefix="host", months=12, age_days=10,
             expires_in_days=None, sans=0):
        """Add orders without requests; returns their numbers."""
        for code in products:
            if code not in PRODUCTS:
                raise KeyError("no product %s" % code)
        out = []
        with self.lock:
            for i in range(count):
                product = PRODUCTS[products[i % len(products)]]
                order = self.add(product, "seed-%s" % secrets.token_hex(16))
                self._fill(order, "%s%05d.%s" % (prefix, i + 1, suffix),
                           sans, months, age_days, expires_in_days)
                self.advance(order, states[i % len(states)])
                out.append(order.number)
        return out

    def _fill(self, order, name, sans, months, age_days, expires_in_days):
        order.frozen = True
        order.common = "*." + name if order.product.wildcard \
            and not order.product.multi else name
        if order.product.multi:
            order.sans = ["san%d.%s" % (i + 1, name) for i in range(sans)]
        order.months = months
        order.purchased = self.now() - age_days * DAY
        order.expiry = order.purchased + months * 365 * DAY // 12
        if expires_in_days is not None:
            order.expiry = self.now() + expires_in_days * DAY
        token = secrets.token_bytes(48).hex()
        order.digests = (token[:32], token[32:])
        person = {"FirstName": "Ada", "LastName": "Example",
                  "Phone": "13305550100", "Email": "pki@example.com"}
        order.body = {"AdminContact": person, "TechnicalContact": person}
        order.approver_text = "admin@" + sslstore_dcv.registered(name)
        if order.product.for_domains:
            self.prove(order, [(n, "cname", None) for n in order.names])

    def advance(self, order, state):
        """Put an order where a test wants it."""
        with self.lock:
            if state == "Pending":
                return
            if state in ("Active", "Expired", "Revoked", "PENDING_REISSUE"):
                if order.waiting:
                    for domain in order.domains:
                        domain.approved = True
                    order.vetted = True
                    self.issue(order)
                held = order.certificate
                if held and order.frozen:
                    held.start = order.purchased - order.purchased % DAY
                    held.end = max(held.end, held.start + DAY)
            if state == "Cancelled":
                self.cancel(order)
            elif state == "Expired":
                held = order.certificate
                held.end = self.now() - DAY
                held.start = min(held.start, held.end - DAY)
                order.expiry = held.end
                self.age(order)
            elif state == "Revoked":
                self.revoke(order, "test")
                order.major, order.minor = "Revoked", "REVOKED"
            elif state == "PENDING_REISSUE":
                self.new_partner(order)
                order.minor = "PENDING_REISSUE"
                for domain in order.domains:
                    domain.approved = False
            elif state in ("Rejected", "Refunded", "Initial"):
                order.major, order.minor = state, state.upper()
            elif state != "Active":
                raise KeyError("no state %s" % state)
            self.touch(order)

    def dump(self, order):
        """An order as a test wants to see it."""
        held = order.certificate
        return {
            "id": str(order.number), "custom_id": order.custom_id,
            "partner_id": str(order.partner), "product": order.product.code,
            "major": order.major, "minor": order.minor,
            "common": order.common, "sans": order.sans,
            "names": order.names, "months": order.months,
            "purchased": order.purchased, "expiry": order.expiry,
            "modified": order.modified, "vetted": order.vetted,
            "renewal_of": order.renewal_of, "unique": order.unique,
            "refund": order.refund, "refund_id": order.refund_id,
            "csr_form": order.request.form if order.request else None,
            "domains": [d.dump() for d in order.domains],
            "certificates": [{
                "serial": c.serial_text, "names": c.names, "start": c.start,
                "end": c.end, "revoked": c.revoked,
            } for c in order.certificates],
            "serial": held.serial_text if held else None,
            "notes": [n for _, n in order.notes],
        }
