# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""What a request to the store may hold: names, letter case, types.

A table line is "Name:type", with ! behind it where the call is pointless
without the member.  Types: S text, I whole number, B truth value, A array of
text, D "/Date(ms)/" text, =name an object, *name an array of objects.

check() gives back the members in their true types, the departures it found,
and the text of the refusal where the store could not have read the body.
Departures: unknown, case (the name is known in another letter case; the
member is dropped), type, text (a number or truth value written as text, which
the store takes), missing, duplicate.
"""

import re

_AUTH = ("PartnerCode:S AuthToken:S ReplayToken:S UserAgent:S TokenID:S "
         "TokenCode:S Token:S IsUsedForTokenSystem:B IPAddress:S")
_FLAT = ("PartnerCode:S AuthToken:S ReplayToken:S UserAgent:S TokenID:S "
         "TokenCode:S Token:S IsUsedForTokenSystem:B IPAddress:S")
_ADDRESS = ("AddressLine1:S AddressLine2:S AddressLine3:S City:S Region:S "
            "PostalCode:S Country:S Phone:S Fax:S LocalityName:S")
_CONTACT = ("FirstName:S LastName:S SubjectFirstName:S SubjectLastName:S "
            "Phone:S Fax:S Email:S Title:S OrganizationName:S AddressLine1:S "
            "AddressLine2:S City:S Region:S PostalCode:S Country:S")
_ORGANISATION = ("OrganizationName:S DUNS:S Division:S "
                 "IncorporatingAgency:S RegistrationNumber:S "
                 "JurisdictionCity:S JurisdictionRegion:S "
                 "JurisdictionCountry:S AssumedName:S "
                 "OrganizationAddress:=Address")
_NEWORDER = (
    "AuthRequest:=Auth! CustomOrderID:S ProductCode:S! ExtraProductCodes:S "
    "OrganizationInfo:=Organisation TSSOrganizationId:I ValidityPeriod:I! "
    "ServerCount:I! CSR:S! DomainName:S WebServerType:S! DNSNames:A "
    "isCUOrder:B! isRenewalOrder:B! isTrialOrder:B! "
    "RelatedTheSSLStoreOrderID:S AutoWWW:B SpecialInstructions:S "
    "AdminContact:=Contact TechnicalContact:=Contact ApproverEmail:S "
    "ReserveSANCount:I WildcardReserveSANCount:I AddInstallationSupport:B "
    "EmailLanguageCode:S FileAuthDVIndicator:B HTTPSFileAuthDVIndicator:B "
    "CNAMEAuthDVIndicator:B SignatureHashAlgorithm:S "
    "CertTransparencyIndicator:B RenewalDays:I DateTimeCulture:S "
    "CSRUniqueValue:S isPKCS10:B ProvisioningMethod:S "
    "CSTokenDeliveryMethod:S CSTokenType:S SMimeAdditionalParams:=Any "
    "TheSSLStoreOrderID:S")
_ORDER = ("AuthRequest:=Auth! CustomOrderID:S TheSSLStoreOrderID:S "
          "ResendEmailType:S ResendEmail:S RefundReason:S RefundRequestID:S "
          "ApproverMethod:S DomainNames:S SerialNumber:S ReturnPKCS7Cert:B "
          "DateTimeCulture:S PlatFormId:S FormatType:S")
_REISSUE = (
    "AuthRequest:=Auth! TheSSLStoreOrderID:S! CustomOrderID:S CSR:S! "
    "WebServerType:S! DNSNames:A isRenewalOrder:B SpecialInstructions:S "
    "EditSAN:*Pair AddSAN:*Pair DeleteSAN:*Pair isWildCard:B ReissueEmail:S! "
    "PreferEnrollmentLink:B SignatureHashAlgorithm:S FileAuthDVIndicator:B "
    "HTTPSFileAuthDVIndicator:B CNAMEAuthDVIndicator:B ApproverEmails:S "
    "CertTransparencyIndicator:B DateTimeCulture:S CSRUniqueValue:S")

_OBJECTS = {
    "Auth": _AUTH, "Address": _ADDRESS, "Contact": _CONTACT,
    "Organisation": _ORGANISATION, "Pair": "OldValue:S NewValue:S",
    "Approver": "DomainName:S! ApproverMethod:S! ApproverEmail:S",
}

# path below /rest -> (envelope of its answers, table).  "flat" in the third
# place: credentials at the top; "either": at the top or wrapped.
_CALLS = {
    "/health/validate": ("bare", _FLAT, "flat"),
    "/health/validatetoken": ("wrapped", _FLAT, "flat"),
    "/user/accountdetail": ("wrapped", _FLAT, "flat"),
    "/digicert/organizationlist": (
        "wrapped", "AuthRequest:=Auth " + _FLAT, "either"),
    "/csr": ("wrapped", "AuthRequest:=Auth! ProductCode:S CSR:S!"),
    "/order/neworder": ("wrapped", _NEWORDER),
    "/order/midtermupgrade": ("wrapped", _NEWORDER),
    "/order/validateorderparameters": ("wrapped", _NEWORDER),
    "/order/inviteorder": (
        "wrapped", "AuthRequest:=Auth! PreferVendorLink:B ProductCode:S! "
        "ExtraProductCode:S ServerCount:I RequestorEmail:S ExtraSAN:I "
        "ExtraWildcardSAN:I CustomOrderID:S ValidityPeriod:I! "
        "AddInstallationSupport:B SignatureHashAlgorithm:S "
        "EmailLanguageCode:S PreferSendOrderEmails:B "
        "CertTransparencyIndicator:B DateTimeCulture:S OrganizationIds:A "
        "IsWildcardCSRDomain:B"),
    "/order/reissue": ("wrapped", _REISSUE),
    "/order/status": ("wrapped", _ORDER),
    "/order/live-order-status": ("wrapped", _ORDER),
    "/order/query": (
        "array", "AuthRequest:=Auth! StartDate:D EndDate:D "
        "CertificateExpireFromDate:D CertificateExpireToDate:D DomainName:S "
        "SubUserID:S ProductCode:S DateTimeCulture:S PageNumber:I "
        "PageSize:I"),
    "/order/getmodifiedorderssummary": (
        "wrapped", "AuthRequest:=Auth! SubUserID:S StartDate:D EndDate:D "
        "PageNumber:I PageSize:I"),
    "/order/download": ("wrapped", _ORDER),
    "/order/downloadaszip": ("wrapped", _ORDER),
    "/order/refundrequest": ("wrapped", _ORDER),
    "/order/refundstatus": ("wrapped", _ORDER),
    "/order/certificaterevokerequest": (
        "bare", "AuthRequest:=Auth! CustomOrderID:S TheSSLStoreOrderID:S "
        "SerialNumber:S ResendEmail:S RevokeReason:S"),
    "/order/revokerequest": (
        "bare", "AuthRequest:=Auth! TheSSLStoreOrderID:S RefundReason:S"),
    "/order/approverlist": (
        "wrapped", "AuthRequest:=Auth! ProductCode:S! DomainName:S! "
        "RelatedTheSSLStoreOrderID:S"),
    "/order/changeapproveremail": ("bare", _ORDER),
    "/order/changeapprovermethod": ("bare", _ORDER + " ApproverEmail:S"),
    "/order/resend": ("bare", _ORDER),
    "/order/validate": (
        "wrapped", "AuthRequest:=Auth! CSR:S! ProductCode:S! ServerCount:I "
        "ValidityPeriod:I WebServerType:S"),
    "/order/agreement": (
        "wrapped", "AuthRequest:=Auth! ProductCode:S! ServerCount:I "
        "ValidityPeriod:I CSR:S DomainName:S WebServerType:S "
        "OrganizationInfo:=Organisation"),
    "/order/pmrrequest": (
        "wrapped", "AuthRequest:=Auth! TheSSLStoreOrderID:S!"),
    "/order/purchasenewsan": (
        "wrapped", "AuthRequest:=Auth! TheSSLStoreOrderID:S! DNSNames:A "
        "ReserveSANCount:I"),
    "/product/query": (
        "array", "AuthRequest:=Auth! ProductCode:S ProductType:I "
        "NeedSortedList:B IsForceNewSKUs:B"),
    "/digicert/organizationinfo": (
        "wrapped", "AuthRequest:=Auth! TSSOrganizationId:I!"),
    "/digicert/domaininfo": (
        "wrapped", "AuthRequest:=Auth! TheSSLStoreOrderID:S! DomainName:S"),
    "/digicert/setapprovermethod": (
        "wrapped", "AuthRequest:=Auth! TheSSLStoreOrderID:S! "
        "DomainApproverList:*Approver!"),
    "/digicert/checkdcv": (
        "wrapped", "AuthRequest:=Auth! TheSSLStoreOrderID:S DomainName:S "
        "CustomOrderID:S"),
    "/setting/setordercallback": ("bare", "AuthRequest:=Auth! url:S!"),
    "/setting/setpricecallback": ("bare", "AuthRequest:=Auth! url:S!"),
    "/setting/cancelnotification": ("bare", "AuthRequest:=Auth! url:S"),
}


def _table(line):
    table = {}
    for word in line.split():
        name, kind = word.split(":")
        table[name] = (kind.rstrip("!"), kind.endswith("!"))
    return table


OBJECTS = {name: _table(line) for name, line in _OBJECTS.items()}
CALLS = {path: {"envelope": row[0], "table": _table(row[1]),
                "auth": row[2] if len(row) > 2 else "wrapped"}
         for path, row in _CALLS.items()}

WEB_SERVERS = frozenset(
    "aol apachessl apacheraven apachessleay apacheopenssl apache2 "
    "apacheapachessl iis iis4 iis5 c2net Ibmhttp Ibminternet Iplanet "
    "Dominogo4625 Dominogo4626 Domino Netscape NetscapeFastTrack zeusv3 "
    "Other cobaltseries covalentserver cpanel ensim hsphere ipswitch plesk "
    "tomcat WebLogic website webstar sapwebserver webten redhat reven r3ssl "
    "quid oracle javawebserver cisco3000 citrix".split())
SIGNATURES = frozenset(
    "NO_PREFERENCE INFER_FROM_CSR PREFER_SHA2 PREFER_SHA1 REQUIRE_SHA2 "
    "SHA2-256 SHA2-512 SHA1".split())
DATE = re.compile(r"/Date\((-?[0-9]{1,14})\)/\Z")


class _Check:
    def __init__(self):
        self.found = []
        self.refusal = None

    def note(self, kind, where, text):
        self.found.append({"kind": kind, "member": where, "text": text})

    def refuse(self, where, value, wanted):
        self.note("type", where, "%s, wanted %s"
                  % (type(value).__name__, wanted))
        if self.refusal is None:
            self.refusal = "The value of %s cannot be read" % where

    def number(self, where, value):
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and re.match(r"-?[0-9]{1,9}\Z", value):
            self.note("text", where, "number as text")
            return int(value)
        self.refuse(where, value, "a whole number")
        return None

    def truth(self, where, value):
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            self.note("text", where, "truth value as text")
            return value.lower() == "true"
        self.refuse(where, value, "a truth value")
        return None

    def text(self, where, value):
        if isinstance(value, str):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            self.note("type", where, "number in place of text")
            return str(value)
        self.refuse(where, value, "text")
        return None

    def array(self, where, value, kind):
        if kind == "A" and isinstance(value, str):
            self.note("type", where, "comma text in place of an array")
            return [v.strip() for v in value.split(",") if v.strip()]
        if not isinstance(value, list):
            self.refuse(where, value, "an array")
            return []
        if kind == "A":
            return [self.text("%s[%d]" % (where, i), v)
                    for i, v in enumerate(value)]
        return [self.object("%s[%d]" % (where, i), v, OBJECTS[kind[1:]])
                for i, v in enumerate(value)]

    def value(self, where, value, kind):
        if kind == "I":
            return self.number(where, value)
        if kind == "B":
            return self.truth(where, value)
        if kind == "S":
            return self.text(where, value)
        if kind == "D":
            if value == "" or (isinstance(value, str) and DATE.match(value)):
                return value
            self.refuse(where, value, '"/Date(ms)/"')
            return None
        if kind == "=Any":
            return value
        if kind[0] == "=":
            return self.object(where, value, OBJECTS[kind[1:]])
        return self.array(where, value, kind)

    def object(self, where, value, table):
        if not isinstance(value, dict):
            self.refuse(where, value, "an object")
            return {}
        prefix = where + "." if where else ""
        lower = {name.lower(): name for name in table}
        out = {}
        for name, member in value.items():
            if name in table:
                if member is not None:
                    got = self.value(prefix + name, member, table[name][0])
                    if got is not None:
                        out[name] = got
            elif name.lower() in lower:
                self.note("case", prefix + name,
                          "should be " + lower[name.lower()])
            else:
                self.note("unknown", prefix + name, "no such member")
        for name, (_, needed) in table.items():
            if needed and name not in out:
                self.note("missing", prefix + name, "not sent")
        return out


def check(path, body, duplicates=()):
    """Compare a parsed body with the call's table.

    Returns (members in their true types, departures, refusal or None)."""
    work = _Check()
    for name in duplicates:
        work.note("duplicate", name, "member twice in one object")
    members = work.object("", body, CALLS[path]["table"])
    return members, work.found, work.refusal
