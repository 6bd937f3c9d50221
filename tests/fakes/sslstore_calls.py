# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Every call that the fake store answers.

answer() is the door: it checks the body, the credentials, runs the call and
puts errors into the envelope that the call has.
"""

import hashlib
import secrets

import sslstore_answer
import sslstore_ca
import sslstore_contract
import sslstore_dcv
import sslstore_place
from sslstore_place import Refusal
from sslstore_products import PRODUCTS
from sslstore_render import timestamp

TOKEN_REFUSED = -9008
_ORDER_ANSWERS = ("/order/neworder", "/order/midtermupgrade",
                  "/order/inviteorder", "/order/reissue", "/order/status",
                  "/order/live-order-status", "/order/refundrequest",
                  "/order/refundstatus")


class Call:
    """One request on its way through."""

    def __init__(self, book, moods, path, members, auth, note):
        self.book = book
        self.moods = moods
        self.path = path
        self.body = members
        self.auth = auth
        self.note = note
        self.token_order = None

    def order(self):
        """The order that the body names, or a refusal."""
        if self.token_order:
            return self.token_order
        order = self.book.find(self.body.get("TheSSLStoreOrderID") or "",
                               self.body.get("CustomOrderID") or "")
        if order is None:
            raise Refusal("Order not found")
        return order

    def order_answer(self, order, fresh=False, lean=False):
        return sslstore_answer.order_answer(
            self.book, order, self.auth, self.moods, fresh, lean)

    def done(self, **more):
        """Success without a payload of its own."""
        if envelope_of(self.path, self.moods) == "bare":
            return dict(self.auth, **more)
        return dict({"AuthResponse": self.auth}, **more)


def envelope_of(path, moods):
    """wrapped, bare or array."""
    form = sslstore_contract.CALLS[path]["envelope"]
    if path in ("/order/certificaterevokerequest", "/order/revokerequest",
                "/order/changeapprovermethod"):
        return moods["revoke_envelope"]
    return form


def error_answer(path, moods, auth, message):
    """An error in the call's envelope."""
    auth = dict(auth, isError=True, Message=[message])
    form = envelope_of(path, moods)
    if form == "bare":
        return auth
    doc = {"AuthResponse": auth}
    if path in _ORDER_ANSWERS:
        doc["PartnerOrderID"] = doc["TheSSLStoreOrderID"] = None
    if path in _ORDER_ANSWERS or path == "/order/query":
        doc["OrderStatus"] = None
    if form == "array" and moods["query_error"] == "array":
        return [doc]
    return doc


# health, account

def validate(call):
    return call.done(Status="OK")


def validate_token(call):
    order = call.token_order
    if order is None:
        raise Refusal("Token is not valid")
    return call.done(
        ProductName=order.product.name, ProductCode=order.product.code,
        San=0, OrderStatus=order.major, NumberOfMonths=order.months,
        ServerCount=order.servers, isRenewalOrder=False, ProductType=0,
        VendorName=order.product.vendor)


def account(call):
    """The real one says isError although it worked."""
    auth = dict(call.auth, isError=True)
    return {"AuthResponse": auth,
            "PartnerCode": call.auth["InvokingPartnerCode"],
            "CompanyName": "Example", "FullName": "Ada Example",
            "Email": "pki@example.com", "AlternateEmail": "",
            "AccountType": "Deposit", "AccountBalance": "1000.00",
            "CurrentPlan": "Test", "AllowCredit": False}


def callback(call):
    call.book.callbacks[call.path] = call.body.get("url", "")
    return call.done()


# requests and products

def csr(call):
    request = _csr(call.body.get("CSR"))
    return dict({"AuthResponse": call.auth}, **request.describe())


def _csr(text):
    try:
        return sslstore_ca.Request(text or "")
    except sslstore_ca.CsrError as error:
        raise Refusal(str(error)) from error


def order_validate(call):
    product = sslstore_place.product_of(call.body)
    request = sslstore_place.read_csr(call.book, product,
                                      call.body.get("CSR"))
    return dict({"AuthResponse": call.auth}, **request.describe())


def products(call):
    code = call.body.get("ProductCode") or ""
    if code in ("", "0"):
        kind = call.body.get("ProductType") or 0
        found = [p for p in PRODUCTS.values() if p.of_type(kind)]
    else:
        found = [sslstore_place.product_of(call.body)]
    if call.body.get("NeedSortedList"):
        found.sort(key=lambda p: p.code)
    return [p.describe(call.auth) for p in found]


def agreement(call):
    product = sslstore_place.product_of(call.body)
    return call.done(Agreement="Agreement for %s." % product.name)


# placing

def new_order(call):
    book, body = call.book, call.body
    if call.token_order:
        return _fill_in(call)
    custom = body.get("CustomOrderID") or ""
    if custom in book.by_custom and custom and \
            book.behaviour["duplicate_custom_id"] == "refuse":
        raise Refusal("CustomOrderID is in use")
    spec = sslstore_place.read_order(book, body, call.note)
    order = book.add(spec["product"], custom)
    sslstore_place.fill(book, order, spec, body)
    return call.order_answer(order, fresh=True)


def _fill_in(call):
    order = call.token_order
    if order.invite != "open":
        raise Refusal("Token is used")
    call.body.setdefault("ProductCode", order.product.code)
    spec = sslstore_place.read_order(call.book, call.body, call.note)
    if spec["product"] is not order.product:
        raise Refusal("ProductCode does not match the token")
    order.invite = "claimed"
    sslstore_place.fill(call.book, order, spec, call.body)
    return call.order_answer(order, fresh=True)


def dry_run(call):
    sslstore_place.read_order(call.book, call.body, call.note)
    return call.done()


def invite(call):
    product = sslstore_place.product_of(call.body)
    months = call.body.get("ValidityPeriod")
    if months not in product.months:
        raise Refusal("ValidityPeriod is not valid for this product")
    order = call.book.add(product, call.body.get("CustomOrderID") or "")
    order.months = months
    order.major, order.minor, order.invite = "Initial", "INITIAL", "open"
    order.token = (secrets.token_hex(8), secrets.token_hex(16))
    return call.order_answer(order, fresh=True)


def upgrade(call):
    """A mid-term change is read like a new order on an active one."""
    call.body["isRenewalOrder"] = True
    if not call.book.find(call.body.get("RelatedTheSSLStoreOrderID") or ""):
        raise Refusal("RelatedTheSSLStoreOrderID is not valid")
    return new_order(call)


def reissue(call):
    book, body = call.book, call.body
    order = book.find(body.get("TheSSLStoreOrderID") or "")
    if order is None:
        raise Refusal("Order not found")
    spec = sslstore_place.read_reissue(book, order, body, call.note)
    sslstore_place.apply_reissue(book, order, spec, body)
    return call.order_answer(order, fresh=True)


def more_sans(call):
    order = call.order()
    if not order.product.multi:
        raise Refusal("The product takes one domain name only")
    order.notes.append((call.book.now(), "SANs bought: %d" % (
        call.body.get("ReserveSANCount") or 0)))
    call.book.touch(order)
    return call.done(TheSSLStoreOrderID=str(order.number))


# looking

def status(call):
    return call.order_answer(call.order())


def _milliseconds(call, name):
    text = call.body.get(name) or ""
    found = sslstore_contract.DATE.match(text)
    return int(found.group(1)) / 1000 if found else None


def _between(value, low, high):
    if low is None and high is None:
        return True
    return value is not None and (low is None or value >= low) \
        and (high is None or value <= high)


def _page(call, found):
    """One page of a list, in the order that the behaviour wants."""
    way = call.book.behaviour["page_order"]
    if way == "shuffled":
        found.sort(key=lambda o: hashlib.md5(
            str(o.number).encode()).digest())
    else:
        found.sort(key=lambda o: o.number, reverse=way == "newest")
    number, size = call.body.get("PageNumber"), call.body.get("PageSize")
    if number is None and size is None:
        return found
    number, size = 1 if number is None else number, size or 0
    if number < 1 or size < 1:
        raise Refusal("PageNumber or PageSize is not valid")
    cap = call.book.behaviour["page_cap"]
    size = min(size, cap) if cap else size
    return found[(number - 1) * size:number * size]


def query(call):
    body = call.body
    bought = _milliseconds(call, "StartDate"), _milliseconds(call, "EndDate")
    ends = (_milliseconds(call, "CertificateExpireFromDate"),
            _milliseconds(call, "CertificateExpireToDate"))
    code, name = body.get("ProductCode"), (body.get("DomainName")
                                           or "").lower()
    found = [
        o for o in call.book.orders.values()
        if _between(o.purchased, *bought)
        and _between(o.certificate and o.certificate.end, *ends)
        and code in (None, "", o.product.code)
        and (not name or name in o.names)]
    lean = call.moods["query_detail"] == "lean"
    return [call.order_answer(o, lean=lean) for o in _page(call, found)]


def summary(call):
    low, high = _milliseconds(call, "StartDate"), _milliseconds(call,
                                                                "EndDate")
    found = [o for o in call.book.orders.values()
             if _between(o.modified, low, high)]
    total = len(found)
    orders = []
    for order in _page(call, found):
        doc = call.order_answer(order, lean=True)
        del doc["AuthResponse"]
        orders.append(doc)
    return call.done(Orders=orders, TotalOrders=total)


# the certificate

def _ready(call):
    order = call.order()
    if order.certificate is None and call.moods["not_ready"] == "error":
        raise Refusal("Certificate is not issued yet")
    return order


def download(call):
    return sslstore_answer.download(call.book, _ready(call), call.auth,
                                    call.moods)


def download_zip(call):
    return sslstore_answer.download_zip(
        call.book, _ready(call), call.auth, call.moods,
        bool(call.body.get("ReturnPKCS7Cert")))


def refund(call):
    book, order = call.book, call.order()
    mode = book.behaviour["refund"]
    if order.refund or order.major not in ("Initial", "Pending", "Active"):
        raise Refusal("The order cannot be cancelled")
    days = (book.now() - order.purchased) / 86400
    if mode == "refuse" or days > book.behaviour["refund_window"]:
        raise Refusal("The refund period is over")
    order.refund_id, order.refund = book.new_refund(), "asked"
    book.touch(order, "refund asked: %s" % (
        call.body.get("RefundReason") or ""))
    if mode == "immediate":
        book.cancel(order)
    return call.order_answer(order)


def refund_status(call):
    order = call.order()
    asked = call.body.get("RefundRequestID")
    if order.refund is None or (asked and asked != order.refund_id):
        raise Refusal("Refund request not found")
    return call.order_answer(order)


def revoke(call):
    order = call.order()
    held = order.certificate
    if held is None or order.major != "Active" or held.revoked:
        raise Refusal("The order has no certificate that can be revoked")
    serial = (call.body.get("SerialNumber") or "").replace(":", "")
    if serial and serial.lstrip("0").upper() != held.serial_text.lstrip("0"):
        raise Refusal("SerialNumber is not valid")
    call.book.revoke(order, call.body.get("RevokeReason")
                     or call.body.get("RefundReason") or "")
    order.major, order.minor = call.book.behaviour["revoked_major"], "REVOKED"
    call.book.touch(order, "certificate revoked")
    return call.done()


def expedite(call):
    order = call.order()
    return call.done(TheSSLStoreOrderID=str(order.number),
                     PMRStatus="Requested", ExpediteDate="")


# approvers and methods

def approver_list(call):
    product = sslstore_place.product_of(call.body)
    name = call.body.get("DomainName", "")
    if not product.for_domains:
        raise Refusal("The product has no approvers")
    sslstore_place.check_name(PRODUCTS["positivesslwildcard"], name.lower())
    found = sslstore_dcv.approvers(name)
    if call.moods["approver_junk"] == "yes":
        found = ["support@geotrust.com"] + found + [
            "support_preprod@geotrust.com"]
    if call.moods["address_case"] == "mixed":
        found = [a.replace("admin@", "Admin@") for a in found]
    if call.moods["approver_list"] == "null":
        found = None
    return call.done(ApproverEmailList=found,
                     baseDomainName=sslstore_dcv.registered(name))


def _domains(call, order):
    """The undecided domains of an order that DomainNames names."""
    if not order.waiting or order.invite == "open":
        raise Refusal("Order is not pending")
    names = sslstore_place.split(call.body.get("DomainNames"))
    known = {d.name: d for d in order.domains}
    if not names:
        raise Refusal("Required field DomainNames is missing")
    for name in names:
        if name.lower() not in known:
            raise Refusal("%s is not a domain of the order" % name)
    return [known[name.lower()] for name in names]


def _allowed(address, domain):
    if (address or "").lower() not in sslstore_dcv.approvers(domain.name):
        raise Refusal("%s is not an approver of %s" % (address, domain.name))


def change_email(call):
    order = call.order()
    domains = _domains(call, order)
    if len(domains) > 1:
        raise Refusal("Only one domain can be changed at once")
    address = call.body.get("ResendEmail")
    _allowed(address, domains[0])
    call.book.change_method(order, domains[0], "email", address)
    return call.done()


def resend(call):
    order = call.order()
    if call.body.get("ResendEmailType") != "ApproverEmail":
        raise Refusal("ResendEmailType is not valid")
    for domain in _domains(call, order):
        if domain.method != "email" or domain.approved:
            raise Refusal("%s waits for no e-mail" % domain.name)
        address = call.body.get("ResendEmail")
        if address:
            _allowed(address, domain)
            domain.approver = address
        call.book.mail(order, domain)
    return call.done()


def _change(book, order, domain, method, address):
    if method == "email":
        _allowed(address, domain)
    if method == "file" and domain.name.startswith("*."):
        raise Refusal("Vendor returns error: file based validation is not "
                      "available for wildcard domains",
                      sslstore_place.CA_REFUSED)
    book.change_method(order, domain, method, address)


def change_method(call):
    method = {"EMAIL": "email", "FILE": "file", "CNAME": "cname"}.get(
        call.body.get("ApproverMethod") or "")
    with call.book.lock:
        order = call.order()
        if method is None:
            raise Refusal("ApproverMethod is not valid")
        domains = _domains(call, order)
        for domain in domains:
            _change(call.book, order, domain, method,
                    call.body.get("ApproverEmail"))
        names = [d.name for d in domains]
    if order.product.sectigo:
        call.book.look(order, names)
    return call.done()


# DigiCert

def _digicert(call):
    order = call.order()
    if order.product.sectigo:
        raise Refusal("The order is not with DigiCert")
    return order


def set_methods(call):
    order = _digicert(call)
    rows = call.body.get("DomainApproverList") or []
    words = {"EMAIL": "email", "HTTP": "file", "FILE": "file", "DNS": "txt",
             "CNAME": "cname", "DNS_CNAME_TOKEN": "cname"}
    for row in rows:
        method = words.get((row.get("ApproverMethod") or "").upper())
        if method is None:
            raise Refusal("ApproverMethod is not valid")
        call.body["DomainNames"] = row.get("DomainName") or ""
        for domain in _domains(call, order):
            _change(call.book, order, domain, method,
                    row.get("ApproverEmail"))
    return call.done()


_NOT_SEEN = {"file": "file_random_value_not_found",
             "cname": "invalid_dns_cname", "txt": "invalid_dns_txt",
             "email": "email_not_approved"}


def check_dcv(call):
    """Looks at once; a domain that is not proven is an error."""
    with call.book.lock:
        order = _digicert(call)
        if not order.waiting:
            raise Refusal("Order is not pending")
        name = (call.body.get("DomainName") or "").lower()
        domains = [d for d in order.domains if name in ("", d.name)]
        if not domains:
            raise Refusal("%s is not a domain of the order" % name)
    call.book.look(order, [d.name for d in domains])
    with call.book.lock:
        for domain in domains:
            if not domain.approved and call.book.behaviour["checkdcv_error"]:
                raise Refusal("Vendor returns error: %s for %s" % (
                    _NOT_SEEN[domain.method], domain.name),
                    sslstore_place.CA_REFUSED)
    return call.done()


def domain_info(call):
    order = _digicert(call)
    name = (call.body.get("DomainName") or "").lower()
    found = [v for v, d in zip(sslstore_answer.vetting(order, call.moods),
                               order.domains) if name in ("", d.name)]
    if not found:
        raise Refusal("%s is not a domain of the order" % name)
    return call.done(dcvDetails=found, validations=[],
                     OrganizationDetails=None)


def organisations(call):
    return call.done(OrganizationList=call.book.organisations)


def organisation_info(call):
    found = call.book.organisation(call.body.get("TSSOrganizationId"))
    if not found:
        raise Refusal("TSSOrganizationId is not valid")
    return call.done(Organization=found, validations=[])


HANDLERS = {
    "/health/validate": validate,
    "/health/validatetoken": validate_token,
    "/user/accountdetail": account,
    "/digicert/organizationlist": organisations,
    "/digicert/organizationinfo": organisation_info,
    "/digicert/domaininfo": domain_info,
    "/digicert/setapprovermethod": set_methods,
    "/digicert/checkdcv": check_dcv,
    "/csr": csr,
    "/order/neworder": new_order,
    "/order/midtermupgrade": upgrade,
    "/order/validateorderparameters": dry_run,
    "/order/inviteorder": invite,
    "/order/reissue": reissue,
    "/order/status": status,
    "/order/live-order-status": status,
    "/order/query": query,
    "/order/getmodifiedorderssummary": summary,
    "/order/download": download,
    "/order/downloadaszip": download_zip,
    "/order/refundrequest": refund,
    "/order/refundstatus": refund_status,
    "/order/certificaterevokerequest": revoke,
    "/order/revokerequest": revoke,
    "/order/approverlist": approver_list,
    "/order/changeapproveremail": change_email,
    "/order/changeapprovermethod": change_method,
    "/order/resend": resend,
    "/order/validate": order_validate,
    "/order/agreement": agreement,
    "/order/pmrrequest": expedite,
    "/order/purchasenewsan": more_sans,
    "/product/query": products,
    "/setting/setordercallback": callback,
    "/setting/setpricecallback": callback,
    "/setting/cancelnotification": callback,
}
# These look at the world and take the lock for themselves.
_FREE = (check_dcv, change_method)
# The only calls that an order's own token opens.
_TOKEN_CALLS = ("/health/validatetoken", "/order/status", "/order/neworder")


def _credentials(path, members):
    """Where this call's credentials are."""
    kind = sslstore_contract.CALLS[path]["auth"]
    if kind == "flat" or (kind == "either" and "AuthRequest" not in members):
        return members
    return members.get("AuthRequest") or {}


def _token_order(book, given):
    token = given.get("Token") or "#!".join(
        (given.get("TokenID") or "", given.get("TokenCode") or ""))
    for order in book.orders.values():
        if order.invite and "#!".join(order.token) == token:
            return order
    return None


def _admit(call, given, account_pair):
    """Raises Refusal when the credentials open nothing."""
    if given.get("IsUsedForTokenSystem") and call.path in _TOKEN_CALLS:
        call.token_order = _token_order(call.book, given)
        if call.token_order:
            return
    elif (given.get("PartnerCode"), given.get("AuthToken")) == account_pair:
        return
    if call.path == "/order/query" \
            and call.book.behaviour["query_ignores_token"]:
        return
    raise Refusal("Token/Authentication Failure", TOKEN_REFUSED)


def answer(book, moods, account_pair, path, body, duplicates=()):
    """Run one call.  Returns (document to render, departures found, text of
    the error or None)."""
    members, found, refusal = sslstore_contract.check(path, body, duplicates)

    def note(kind, member, text):
        found.append({"kind": kind, "member": member, "text": text})

    given = _credentials(path, members)
    replay = given.get("ReplayToken")
    auth = {"isError": False, "Message": [],
            "Timestamp": timestamp(book.now()),
            "ReplayToken": {"echo": replay, "null": None,
                            "empty": ""}[moods["replay"]],
            "InvokingPartnerCode": given.get("PartnerCode")}
    call = Call(book, moods, path, members, auth, note)
    handler = HANDLERS[path]
    try:
        if refusal:
            raise Refusal(refusal)
        with book.lock:
            _admit(call, given, account_pair)
        if handler in _FREE:
            return handler(call), found, None
        with book.lock:
            return handler(call), found, None
    except Refusal as error:
        return (error_answer(path, moods, auth, error.message), found,
                error.message)


assert set(HANDLERS) == set(sslstore_contract.CALLS)
