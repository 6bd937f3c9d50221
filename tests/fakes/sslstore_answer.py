# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The shapes of the fake store's answers: orders and downloads."""

import random

import sslstore_ca
import sslstore_dcv
from sslstore_render import (COUNTRIES, Date, put_date, spell_base64,
                             spell_file, spell_pem, spell_record)

_PEOPLE = ("FirstName LastName Phone Fax Email Title OrganizationName "
           "AddressLine1 AddressLine2 City Region PostalCode Country").split()
_UNUSED = ("AuthFileName", "AuthFileContent", "CNAMEAuthName",
           "CNAMEAuthValue", "RefundRequestID", "TinyOrderLink", "Token",
           "TokenID", "TokenCode", "PollStatus")


def _word(text, moods):
    if moods["words"] == "upper":
        return text.upper()
    return text.lower() if moods["words"] == "lower" else text


def vetting(order, moods):
    """DomainAuthVettingStatus."""
    out = []
    for domain in order.domains:
        challenge = domain.challenge
        name = sslstore_dcv.strip(domain.name)
        entry = {
            "domain": domain.name,
            "dcvMethod": _word(sslstore_dcv.WORDS[
                (order.family, domain.method)], moods),
            "dcvStatus": _word("Approved" if domain.approved else "Pending",
                               moods),
            "FileName": None, "FileContents": None,
            "DNSName": None, "DNSEntry": None,
            "PollStatus": domain.poll_text,
            "LastPollDate": Date(domain.polled) if domain.polled else None,
        }
        if moods["vetting_domain"] == "empty-main" \
                and domain is order.domains[0]:
            entry["domain"] = ""
        if challenge["file"]:
            entry["FileName"], entry["FileContents"] = spell_file(
                challenge, name, moods)
        if challenge["record"]:
            entry["DNSName"], entry["DNSEntry"] = spell_record(
                challenge, name, moods)
        out.append(entry)
    return out


def _status(order, moods, lean):
    steps = []
    if order.product.vetted:
        steps.append({
            "AuthenticationStep": "Organization Validation",
            "Status": "Completed" if order.vetted else "Pending",
            "LastUpdated": Date(order.modified)})
    out = {
        "isTinyOrder": order.invite is not None,
        "isTinyOrderClaimed": order.invite == "claimed",
        "MajorStatus": order.major, "MinorStatus": order.minor,
        "AuthenticationStatuses": None if lean else steps,
        "AuthenticationComments": None,
        "OrderNotes": None if lean else [
            {"Comments": text, "DateAdded": Date(when)}
            for when, text in order.notes] or None,
        "DomainAuthVettingStatus": vetting(order, moods),
    }
    if lean or moods["vetting"] == "null":
        out["DomainAuthVettingStatus"] = None
    elif moods["vetting"] == "omit":
        del out["DomainAuthVettingStatus"]
    return out


def _proof(order, moods):
    """The order's own copy of the main domain's challenge."""
    out = dict.fromkeys(("AuthFileName", "AuthFileContent",
                         "CNAMEAuthName", "CNAMEAuthValue"))
    if order.domains:
        domain = order.domains[0]
        name = sslstore_dcv.strip(domain.name)
        if domain.challenge["file"]:
            out["AuthFileName"], out["AuthFileContent"] = spell_file(
                domain.challenge, name, moods)
        elif domain.challenge["type"] == "CNAME":
            out["CNAMEAuthName"], out["CNAMEAuthValue"] = spell_record(
                domain.challenge, name, moods)
    return out


def _person(contact):
    return {name: contact.get(name, "") for name in _PEOPLE}


def _subject(order, book, moods):
    subject = order.subject(book.organisation(order.tss_org))
    place = (order.body.get("OrganizationInfo") or {}).get(
        "OrganizationAddress") or {}
    country = subject.get("C") or "US"
    if moods["country"] == "name":
        country = COUNTRIES.get(country, country)
    return {
        "Organization": subject.get("O") or "", "OrganizationalUnit": "",
        "State": subject.get("ST") or "", "Country": country,
        "Locality": subject.get("L") or "",
        "OrganizationPhone": place.get("Phone", ""),
        "OrganizationAddress": place.get("AddressLine1", ""),
        "OrganizationPostalcode": place.get("PostalCode", ""), "DUNS": "",
        "TSSOrganizationId": order.tss_org,
    }


def _dns_names(order, moods):
    everything = moods["dns_names"] == "all" or (
        moods["dns_names"] == "auto" and order.certificates)
    names = order.names if everything else order.sans
    return ",".join(names) if order.product.for_domains else ""


def identity(order):
    return {"PartnerOrderID": str(order.partner),
            "CustomOrderID": order.custom_id,
            "TheSSLStoreOrderID": str(order.number),
            "VendorOrderID": str(order.vendor_number)}


def order_answer(book, order, auth, moods, fresh=False, lean=False):
    """The order response.  fresh: neworder and its kin, whose unused
    members are null; lean: the shortened element of a list."""
    held = order.certificate
    doc = {"AuthResponse": auth}
    doc.update(identity(order))
    doc["RefundRequestID"] = order.refund_id
    doc["isRefundApproved"] = order.refund == "approved"
    token = order.token or (None, None)
    doc["TinyOrderLink"] = order.invite and (
        "https://example.com/invite/" + token[0])
    doc["Token"] = "#!".join(token) if token[0] else None
    doc["TokenID"], doc["TokenCode"] = token
    doc["OrderStatus"] = _status(order, moods, lean)
    doc.update({
        "CommonName": order.common, "DNSNames": _dns_names(order, moods),
        "Validity": order.months})
    if not lean:
        doc["ProductCode"] = order.product.code
        put_date(doc, "PurchaseDate", order.purchased)
        put_date(doc, "CertificateStartDate", held and held.start)
        put_date(doc, "CertificateEndDate", held and held.end)
        put_date(doc, "OrderExpiryDate", order.expiry)
        doc.update(_rest(book, order, moods))
    unused = {"auto": None if fresh else "", "null": None,
              "empty": ""}[moods["unused"]]
    for name in _UNUSED:
        if name in doc and doc[name] in (None, ""):
            doc[name] = unused
    return doc


def _rest(book, order, moods):
    held = order.certificate
    names = order.sans
    out = {
        "OrderAmount": "%.2f" % order.product.price,
        "SANCount": len(names),
        "wildcardSANCount": sum(n.startswith("*.") for n in names),
        "ServerCount": order.servers, "WebServerType": order.web_server,
        "ProductName": order.product.name,
        "VendorName": order.product.vendor, "SubVendorName": "",
        "SerialNumber": held.serial_text if held else "",
        "SignatureEncryptionAlgorithm": "",
        "SignatureHashAlgorithm": order.signature, "SiteSealurl": "",
        "ApproverEmail": order.approver_text,
        "AdminContact": _person(order.contact("AdminContact")),
        "TechnicalContact": _person(order.contact("TechnicalContact")),
        "CustomerLoginName": "", "CustomerPassword": "", "CustomerID": 0,
        "PollStatus": None, "ReissueSuccessCode": "",
    }
    polled = [d.polled for d in order.domains if d.polled]
    put_date(out, "PollDate", max(polled) if polled else None)
    if not polled and moods["no_date"] == "auto":
        out["PollDate"] = out["PollDateInUTC"] = "1/1/1900 12:00:00 AM"
    out.update(_subject(order, book, moods))
    out.update(_proof(order, moods))
    return out


def stem(order):
    return order.common.replace("*", "star").replace(".", "_")


def parts(book, order, moods):
    """The files of a download, [(name, PEM text)]."""
    authority = book.authority
    leaf = (stem(order) + ".crt", sslstore_ca.pem(order.certificate.made(
        authority, order.product.validation)))
    middle = ("Intermediate.crt", sslstore_ca.pem(authority.intermediate))
    root = ("Root.crt", sslstore_ca.pem(authority.root))
    form = moods["files"]
    if form == "no-root":
        return [middle, leaf]
    if form == "leaf-first":
        return [leaf, middle, root]
    if form == "shuffle":
        out = [root, middle, leaf]
        random.Random(order.number).shuffle(out)
        return out
    if form == "bundle":
        return [("bundle.crt", leaf[1] + middle[1] + root[1])]
    if form == "mixed-bundle":
        return [leaf, ("ca-bundle.crt", root[1] + middle[1])]
    return [root, middle, leaf]


def _meta(order, auth, moods):
    held = order.certificate
    doc = {"AuthResponse": auth, "PartnerOrderID": str(order.partner),
           "TheSSLStoreOrderID": str(order.number),
           "VendorOrderID": str(order.vendor_number)}
    for name in ("TheSSLStoreOrderID", "VendorOrderID"):
        if moods["ids"] == "number":
            doc[name] = int(doc[name])
        elif moods["ids"] == "null":
            doc[name] = None
    put_date(doc, "CertificateStartDate", held and held.start)
    put_date(doc, "CertificateEndDate", held and held.end)
    doc["CertificateStatus"] = order.major
    doc["ValidationStatus"] = ""
    return doc


def _missing(order, moods):
    """What stands for the files when there are none: (yes?, value)."""
    if order.certificate is None:
        return True, None if moods["not_ready"] == "null" else []
    return (moods["certificates"] in ("empty", "null"),
            None if moods["certificates"] == "null" else [])


def download(book, order, auth, moods):
    doc = _meta(order, auth, moods)
    missing, value = _missing(order, moods)
    if missing:
        doc["Certificates"] = value
        return doc
    blank = moods["certificates"] == "blank"
    doc["Certificates"] = [
        {"FileName": name,
         "FileContent": "" if blank else spell_pem(text, moods)}
        for name, text in parts(book, order, moods)]
    return doc


def download_zip(book, order, auth, moods, pkcs7):
    doc = _meta(order, auth, moods)
    missing, _ = _missing(order, moods)
    doc["Zip"] = doc["pkcs7zip"] = ""
    if missing or moods["certificates"] == "blank":
        return doc
    authority = book.authority
    doc["Zip"] = spell_base64(
        authority.zip_parts(parts(book, order, moods)), moods)
    if pkcs7:
        doc["pkcs7zip"] = spell_base64(authority.zip_pkcs7(
            order.certificate.made(authority, order.product.validation),
            stem(order)), moods)
    return doc
