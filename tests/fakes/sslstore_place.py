# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Reading an order: what the store and its CAs refuse, and what they make
of the rest.

note(kind, member, text) takes departures that the store would swallow.
"""

import re

import sslstore_ca
import sslstore_contract
import sslstore_dcv
from sslstore_products import PRODUCTS

CA_REFUSED = -9009

_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(r"(\*\.)?(%s\.)+%s\Z" % (_LABEL, _LABEL))
_EMAIL = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s,]+\Z")
_UNIQUE = re.compile(r"[A-Za-z0-9]{1,20}\Z")
_FLAGS = (("FileAuthDVIndicator", "file"),
          ("HTTPSFileAuthDVIndicator", "https"),
          ("CNAMEAuthDVIndicator", "cname"))
_WORDS = {
    "sectigo": {"HTTP": "file", "HTTPS": "https", "DNS": "cname"},
    "digicert": {"EMAIL": "email", "HTTP": "file", "DNS": "txt",
                 "DNS_CNAME_TOKEN": "cname"},
}


class Refusal(Exception):
    """The call's answer is an error with this text and code."""

    def __init__(self, text, code=None):
        super().__init__(text)
        self.text = text
        self.code = code

    @property
    def message(self):
        if self.code is None:
            return self.text
        return "ErrorCode:%d|Message:%s" % (self.code, self.text)


def family(product):
    return "sectigo" if product.sectigo else "digicert"


def split(text):
    """The places of a comma list."""
    return [p.strip() for p in (text or "").split(",") if p.strip()]


def dotted(body, path):
    for name in path.split("."):
        if not isinstance(body, dict) or name not in body:
            return None
        body = body[name]
    return body


def product_of(body):
    product = PRODUCTS.get(body.get("ProductCode", ""))
    if product is None:
        raise Refusal("ProductCode is not valid")
    return product


def main_method(body):
    chosen = [method for flag, method in _FLAGS if body.get(flag)]
    if len(chosen) > 1:
        raise Refusal("Only one domain validation method can be chosen")
    return chosen[0] if chosen else "email"


def check_required(product, body, method, note):
    """Members that the product's category wants."""
    for path in product.required(body):
        value = dotted(body, path)
        if path == "TSSOrganizationId":
            missing = not value or value < 1
        else:
            missing = value is None or value == ""
        if not missing:
            continue
        if path == "ApproverEmail" and method != "email":
            note("missing", path, "advised with every method")
            continue
        raise Refusal("Required field %s is missing" % path)


def _walk(body, prefix=""):
    for name, value in body.items():
        if isinstance(value, dict):
            yield from _walk(value, prefix + name + ".")
        else:
            yield prefix + name, value


def check_values(body):
    """Addresses and country codes."""
    for path, value in _walk(body):
        last = path.rsplit(".", 1)[-1]
        if last in ("Country", "JurisdictionCountry") and value:
            if not re.match(r"[A-Za-z]{2}\Z", value):
                raise Refusal("Vendor returns error: the argument "
                              "apprepcountryname is not valid", CA_REFUSED)
        if last == "Email" and value and not _EMAIL.match(value):
            raise Refusal("%s is not a valid e-mail address" % path)


def check_terms(product, body):
    if body.get("ValidityPeriod") not in product.months:
        raise Refusal("ValidityPeriod is not valid for this product")
    servers = body.get("ServerCount")
    if servers is None or (servers < 1 and servers != -1):
        raise Refusal("ServerCount is not valid")
    if body.get("WebServerType") not in sslstore_contract.WEB_SERVERS:
        raise Refusal("WebServerType is not valid")
    check_signature(product, body)


def check_signature(product, body):
    signature = body.get("SignatureHashAlgorithm")
    if not signature and not product.sectigo:
        raise Refusal("Vendor returns error: csr_invalid", CA_REFUSED)
    if signature and signature not in sslstore_contract.SIGNATURES:
        raise Refusal("SignatureHashAlgorithm is not valid")


def check_organisation(book, product, body, note):
    """TSSOrganizationId: DigiCert knows the organisation already."""
    number = body.get("TSSOrganizationId") or 0
    if number == 0:
        return 0
    if not product.existing_org:
        raise Refusal("TSSOrganizationId cannot be used with this product")
    found = book.organisation(number)
    if not found or found["Status"] != "active":
        raise Refusal("TSSOrganizationId is not valid")
    info = body.get("OrganizationInfo") or {}
    if any(value not in ("", None) for _, value in _walk(info)):
        note("value", "OrganizationInfo", "must be empty beside "
             "TSSOrganizationId")
    return number


def read_csr(book, product, text):
    try:
        request = sslstore_ca.Request(text or "")
    except sslstore_ca.CsrError as error:
        raise Refusal(str(error)) from error
    refused = book.behaviour["csr_refuse"]
    if request.form in refused.get(product.vendor, refused.get("*", ())):
        if request.form == "base64":
            raise Refusal("The CSR cannot be decoded!")
        raise Refusal("Vendor returns error: csr_invalid", CA_REFUSED)
    return request


def read_unique(book, product, body):
    unique = body.get("CSRUniqueValue") or ""
    if unique and not _UNIQUE.match(unique):
        raise Refusal("CSRUniqueValue is not valid")
    if not product.sectigo:
        return ""
    if not unique and book.behaviour["unique_when_missing"] == "generate":
        unique = sslstore_dcv.random_value()[:16]
    return unique


def check_token(book, product, request, unique):
    """A Sectigo request token is good for one order."""
    if not product.sectigo or not product.for_domains:
        return
    if (request.digest("md5"), unique) in book.used_tokens \
            and book.behaviour["token_reuse"] == "refuse":
        raise Refusal("Vendor returns error: the request token was used "
                      "before, a new CSRUniqueValue is needed", CA_REFUSED)


def check_name(product, name):
    if not _NAME.match(name) or len(name) > 253:
        raise Refusal("%s is not a valid domain name" % name)
    if name.startswith("*.") and not product.wildcard:
        raise Refusal("%s: the product takes no wildcard name" % name)


def _twin(name):
    """The same site with or without www."""
    return name[4:] if name.startswith("www.") else "www." + name


def check_names(product, common, sans):
    """All names of an order against what the product can hold."""
    for name in [common] + sans:
        check_name(product, name)
    if product.wildcard and not product.multi and common[:2] != "*.":
        raise Refusal("The product needs a wildcard name")
    if not product.multi:
        bare = sslstore_dcv.strip(common)
        for name in sans:
            if name not in (bare, _twin(bare)):
                raise Refusal("The product takes one domain name only")
    elif len(sans) > product.max_san:
        raise Refusal("Too many DNSNames")


def clean(names, common, note):
    """Lower case, without the common name and without repeats."""
    out = []
    for name in names:
        name = (name or "").strip().lower()
        if not name or name == common:
            continue
        if name in out:
            note("value", "DNSNames", name + " is there twice")
            continue
        out.append(name)
    return out


def common_name(product, body, request, note):
    common = request.common_name
    asked = body.get("DomainName") or ""
    if asked and common and asked.lower() != common.lower():
        note("value", "DomainName", "differs from the CSR's common name")
    common = common or asked
    if not common:
        raise Refusal("The CSR has no common name")
    return common.lower() if product.for_domains else common


def _refuse_wildcard_file(plan):
    for name, method, _ in plan:
        if method in ("file", "https") and name.startswith("*."):
            raise Refusal("Vendor returns error: file based validation is "
                          "not available for wildcard domains", CA_REFUSED)


def _by_place(kind, names, places, main, note):
    if len(places) != len(names):
        raise Refusal("ApproverEmail must have one entry for each domain")
    plan = []
    for name, place in zip(names, places):
        if "@" in place:
            plan.append((name, "email", place))
            continue
        method = _WORDS[kind].get(place.upper())
        if method is None:
            note("value", "ApproverEmail", place + " is no method of "
                 + kind + ", e-mail is used")
        plan.append((name, method or "email", None))
    first = plan[0][1]
    if first != main and not (first == "txt" and main == "cname"):
        note("value", "ApproverEmail",
             "first place and DCV flags disagree")
    return plan


def _by_mail(product, names, places):
    """E-mail for all: who approves which name."""
    pool = [p for p in places if "@" in p]
    if not pool:
        raise Refusal("Required field ApproverEmail is missing")
    if not product.sectigo:
        if len(pool) > 1:
            raise Refusal("Only one approver e-mail is allowed")
        if pool[0].lower() not in sslstore_dcv.approvers(names[0]):
            raise Refusal("ApproverEmail is not valid for " + names[0])
        return [(name, "email", pool[0]) for name in names]
    plan = []
    for name in names:
        allowed = sslstore_dcv.approvers(name)
        good = [p for p in pool if p.lower() in allowed]
        if not good:
            raise Refusal("ApproverEmail is not valid for " + name)
        plan.append((name, "email", good[0]))
    return plan


def make_plan(book, product, names, body, approver, note):
    """[(name, method, approver address or None)]"""
    main = main_method(body)
    kind = family(product)
    places = split(approver)
    words = [p for p in places if "@" not in p]
    if main == "https" and kind == "digicert":
        raise Refusal("HTTPS file validation is not available for this "
                      "product")
    if book.behaviour["silent_downgrade"]:
        return [(name, "email", None) for name in names]
    if words and product.multi:
        plan = _by_place(kind, names, places, main, note)
        for name, method, address in plan:
            if method == "email" and address and \
                    address.lower() not in sslstore_dcv.approvers(name):
                raise Refusal("ApproverEmail is not valid for " + name)
    elif main == "email":
        plan = _by_mail(product, names, places)
    else:
        if words:
            note("value", "ApproverEmail", "method words are for "
                 "multi-domain products")
        if main == "cname" and kind == "digicert":
            main = book.behaviour["digicert_cname_flag"]
        plan = [(name, main, places[0] if places else None)
                for name in names]
    _refuse_wildcard_file(plan)
    return plan


def read_order(book, body, note):
    """Everything that neworder says, checked.  Raises Refusal.  The result
    is what fill() puts into an order."""
    product = product_of(body)
    method = main_method(body)
    number = check_organisation(book, product, body, note)
    check_required(product, body, method, note)
    check_values(body)
    check_terms(product, body)
    request = read_csr(book, product, body.get("CSR"))
    common = common_name(product, body, request, note)
    sans, plan = [], []
    if product.for_domains:
        listed = body.get("DNSNames") or (request.san if product.multi
                                          else [])
        sans = clean(listed, common, note)
        check_names(product, common, sans)
        plan = make_plan(book, product, [common] + sans, body,
                         body.get("ApproverEmail"), note)
    unique = read_unique(book, product, body)
    check_token(book, product, request, unique)
    renewal_of = _renewal(book, body, note)
    extra = []
    if body.get("AutoWWW"):
        if product.code == "positivessl":
            extra = [n for n in [_twin(common)] if n not in sans]
        else:
            note("value", "AutoWWW", "is for positivessl")
    return {"product": product, "request": request, "common": common,
            "sans": sans, "extra_names": extra, "plan": plan,
            "unique": unique, "tss_org": number, "renewal_of": renewal_of}


def _renewal(book, body, note):
    related = body.get("RelatedTheSSLStoreOrderID") or ""
    if not body.get("isRenewalOrder"):
        if related:
            note("value", "RelatedTheSSLStoreOrderID",
                 "without isRenewalOrder")
        return None
    if not book.find(related):
        raise Refusal("RelatedTheSSLStoreOrderID is not valid")
    return related


def fill(book, order, spec, body):
    """Make the order what the body asked for and go to the CA."""
    product, request = spec["product"], spec["request"]
    order.product = product
    order.request, order.unique = request, spec["unique"]
    order.digests = (request.digest("md5"), request.digest("sha256"))
    order.common, order.sans = spec["common"], spec["sans"]
    order.extra_names = spec["extra_names"]
    order.tss_org, order.renewal_of = spec["tss_org"], spec["renewal_of"]
    order.body = body
    order.months, order.servers = body["ValidityPeriod"], body["ServerCount"]
    order.web_server = body["WebServerType"]
    order.approver_text = body.get("ApproverEmail", "")
    order.signature = body.get("SignatureHashAlgorithm", "")
    order.vetted = not product.vetted or bool(order.tss_org)
    order.major, order.minor = "Pending", "PENDING"
    if product.sectigo and product.for_domains:
        book.used_tokens.add((order.digests[0], order.unique))
    book.prove(order, spec["plan"])
    book.touch(order, "order placed")
    if product.for_domains:
        book.settle(order)


def _edited(sans, body):
    """The SANs after the pairs of a reissue; None without pairs."""
    pairs = [p for name in ("EditSAN", "AddSAN", "DeleteSAN")
             for p in body.get(name) or []]
    if not pairs:
        return None
    out = list(sans)
    for pair in body.get("EditSAN") or []:
        old, new = _pair(pair, True, True)
        if old not in out:
            raise Refusal("EditSAN: %s is not in the order" % old)
        out[out.index(old)] = new
    for pair in body.get("DeleteSAN") or []:
        old, _ = _pair(pair, True, False)
        if old not in out:
            raise Refusal("DeleteSAN: %s is not in the order" % old)
        out.remove(old)
    for pair in body.get("AddSAN") or []:
        _, new = _pair(pair, False, True)
        if new in out:
            raise Refusal("AddSAN: %s is in the order already" % new)
        out.append(new)
    return out


def _pair(pair, want_old, want_new):
    old = (pair.get("OldValue") or "").lower()
    new = (pair.get("NewValue") or "").lower()
    if bool(old) != want_old or bool(new) != want_new:
        raise Refusal("EditSAN, AddSAN or DeleteSAN is not valid")
    return old, new


def reissued_names(order, body, common, request, note):
    """SANs that the new certificate will have.  Pairs change the present
    list; without them DNSNames counts; without that only what the CSR says
    is left."""
    listed = clean(body.get("DNSNames") or [], common, note)
    edited = _edited(order.sans, body)
    if edited is None:
        return listed or clean(request.san if order.product.multi else [],
                               common, note)
    if listed and sorted(listed) != sorted(edited):
        note("value", "DNSNames", "disagrees with EditSAN, AddSAN and "
             "DeleteSAN")
    return edited


def reissue_plan(book, order, names, body, note):
    """The proof for a reissue: DigiCert keeps the order's first method."""
    if order.product.sectigo:
        return make_plan(book, order.product, names, body,
                         body.get("ApproverEmails"), note)
    old = {d.name: d for d in order.domains}
    first = order.domains[0] if order.domains else None
    plan = []
    for name in names:
        kept = old.get(name) or first
        plan.append((name, kept.method if kept else "email",
                     kept.approver if kept else None))
    _refuse_wildcard_file(plan)
    return plan


def read_reissue(book, order, body, note):
    """A reissue, checked; the result is for apply_reissue()."""
    product = order.product
    if order.major != "Active" or not product.for_domains:
        raise Refusal("The order cannot be reissued")
    if body.get("isRenewalOrder"):
        raise Refusal("isRenewalOrder is not valid for a reissue")
    admin = order.contact("AdminContact").get("Email") \
        or order.contact("TechnicalContact").get("Email") or ""
    if (body.get("ReissueEmail") or "").lower() != admin.lower():
        raise Refusal("ReissueEmail does not match the admin contact")
    if body.get("WebServerType") not in sslstore_contract.WEB_SERVERS:
        raise Refusal("WebServerType is not valid")
    check_signature(product, body)
    wild = "wildcard" in product.code or "wc" in product.code
    if bool(body.get("isWildCard")) != wild:
        note("value", "isWildCard", "does not suit " + product.code)
    request = read_csr(book, product, body.get("CSR"))
    common = common_name(product, {}, request, note)
    sans = reissued_names(order, body, common, request, note)
    if sslstore_dcv.registered(common) != \
            sslstore_dcv.registered(order.common):
        raise Refusal("The common name cannot be changed")
    check_names(product, common, sans)
    unique = read_unique(book, product, body)
    check_token(book, product, request, unique)
    plan = reissue_plan(book, order, [common] + sans, body, note)
    return {"request": request, "common": common, "sans": sans,
            "unique": unique, "plan": plan}


def apply_reissue(book, order, spec, body):
    order.request, order.unique = spec["request"], spec["unique"]
    order.digests = (order.request.digest("md5"),
                     order.request.digest("sha256"))
    order.common, order.sans = spec["common"], spec["sans"]
    order.web_server = body["WebServerType"]
    if order.product.sectigo:
        book.used_tokens.add((order.digests[0], order.unique))
        if body.get("ApproverEmails"):
            order.approver_text = body["ApproverEmails"]
    order.minor = "PENDING_REISSUE"
    order.frozen = False
    book.new_partner(order)
    book.prove(order, spec["plan"])
    book.touch(order, "reissue asked")
    book.settle(order)
