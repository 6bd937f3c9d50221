# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The catalogue of the fake store: what each product is, what it needs.

One line of _ROWS gives vendor, validation, abilities and field category of
the codes behind the colon.  Abilities: w takes wildcard names, m takes more
than one name, e can be ordered for an organisation that DigiCert knows.
Codes are those of the wire; the "-EO" spelling is a client's own.
Prices and months are invented; the store's own answer is the only truth.
"""

import dataclasses

_VENDORS = {"D": "DIGICERT", "C": "COMODO", "S": "SECTIGO"}

_ROWS = """
D OV wme digicert_ov_flex: digi_securesite_flex digi_sslwebserver_flex
D OV wme digicert_ov_flex: digi_truebizid_flex digi_ssl_basic
D OV wme eo_minimal: digi_securesite_pro_flex
D EV me digicert_ev_flex: digi_securesite_ev_flex digi_securesite_pro_ev_flex
D EV me digicert_ev_flex: digi_sslwebserver_ev_flex digi_truebizid_ev_flex
D EV me digicert_ev_flex: digi_ssl_ev_basic
D DV - digicert_dv: digi_rapidssl
D DV w digicert_dv: digi_rapidssl_wc
D DV wm digicert_dv: digi_ssl_dv_geotrust_flex digi_ssl123_flex
D DV m legacy_full_jurisdiction: digi_quickssl_md
D CLIENT - legacy_full: digi_client_premium
D CODE_SIGNING - legacy_full: digi_csc
D EV_CODE_SIGNING - legacy_full: digi_csc_ev
D DOCUMENT_SIGNING - legacy_full: digi_doc_signing_ind_500
D DOCUMENT_SIGNING - legacy_full: digi_doc_signing_ind_2000
D DOCUMENT_SIGNING - legacy_full: digi_doc_signing_org_2000
D DOCUMENT_SIGNING - legacy_full: digi_doc_signing_org_5000
C DV - dv_minimal: positivessl
C DV w dv_minimal: positivesslwildcard
C DV m dv_minimal: positivemdcssl
C DV wm dv_minimal: positivemdcwildcard
C EV - ev_jurisdiction: positiveevssl enterpriseproev
C EV m ev_jurisdiction: positiveevmdc enterpriseproevmdc
C OV - ov_org: comodopremiumssl instantssl instantsslpro
C OV w ov_org: comodopremiumwildcard enterpriseprowc
C OV - enterprise_pro_ov: enterprisepro
C OV - legacy_full: comodossl enterprisessl elitessl
C OV w legacy_full: comodowildcard
C OV m legacy_full: comodomdc comodoucc
C OV wm legacy_full: comodomdcwildcard comodouccwildcard
C EV - legacy_full: comodoevssl
C EV m legacy_full: comodoevmdc
C DV m legacy_full: comododvucc
C DV - legacy_full: essentialssl
C DV w legacy_full: essentialwildcard
C CODE_SIGNING - legacy_full: comodocsc
C EV_CODE_SIGNING - legacy_full: comodoevcsc
C SCANNING - legacy_full: comodopciscan hackerprooftm hgpcicontrolscan
C CLIENT - legacy_full: pacbasic pacpro pacenterprise
S DV - dv_minimal: sectigossl
S DV w dv_minimal: sectigowildcard
S DV m dv_minimal: sectigodvucc
S DV wm dv_minimal: sectigouccwildcard
S OV - ov_org: sectigoovssl
S OV w ov_org: sectigoovwildcard
S OV m ov_org: sectigomdc
S OV wm ov_org: sectigomdcwildcard
S EV - dv_minimal: sectigoevssl
S EV m ev_jurisdiction: sectigoevmdc
"""

# Rows whose two sources disagree: the fake wants the longer list.
_STRICTER = {"sectigoevssl": "ev_jurisdiction",
             "digi_securesite_pro_flex": "digicert_ov_flex"}

_ORG = "OrganizationInfo.OrganizationName"
_ADDRESS = "OrganizationInfo.OrganizationAddress."
_JURISDICTION = "OrganizationInfo.JurisdictionCountry"
_PLACE = [_ADDRESS + f for f in
          ("AddressLine1", "Region", "PostalCode", "Country", "Phone")]
_OV_ORG = ["AdminContact.Email", "ApproverEmail", _ORG] + _PLACE
_OV_FLEX = ["AdminContact." + f for f in
            ("FirstName", "LastName", "Phone", "Email")] + [
    "ApproverEmail", _ORG, _ADDRESS + "LocalityName"] + _PLACE
_PERSON = ("FirstName", "LastName", "Phone", "Email", "OrganizationName",
           "AddressLine1", "City", "Region", "PostalCode", "Country")
_LEGACY = [who + "." + f for who in ("AdminContact", "TechnicalContact")
           for f in _PERSON] + [
    "ApproverEmail", "FileAuthDVIndicator", "CNAMEAuthDVIndicator",
    "SignatureHashAlgorithm", _ORG] + _PLACE

# category -> dotted member names that must be there and not empty
CATEGORIES = {
    "dv_minimal": ["AdminContact.Email", "ApproverEmail"],
    "digicert_dv": ["TechnicalContact.Email", "ApproverEmail"],
    "ov_org": _OV_ORG,
    "enterprise_pro_ov": ["AdminContact.FirstName"] + _OV_ORG,
    "ev_jurisdiction": _OV_ORG + [_JURISDICTION],
    "digicert_ov_flex": _OV_FLEX,
    "digicert_ev_flex": _OV_FLEX + ["AdminContact.Title"],
    "eo_minimal": ["TSSOrganizationId"],
    "legacy_full": _LEGACY,
    "legacy_full_jurisdiction": _LEGACY + [_JURISDICTION],
}

_TYPES = {"DV": 1, "EV": 2, "OV": 3, "SCANNING": 5, "CODE_SIGNING": 8,
          "EV_CODE_SIGNING": 8, "CLIENT": 11, "DOCUMENT_SIGNING": 12}


@dataclasses.dataclass(frozen=True)
class Product:
    code: str
    vendor: str
    validation: str
    wildcard: bool
    multi: bool
    existing_org: bool
    category: str

    @property
    def sectigo(self):
        """Challenges come from the CSR's hashes."""
        return self.vendor in ("COMODO", "SECTIGO")

    @property
    def for_domains(self):
        """Control of a domain has to be proven."""
        return self.validation in ("DV", "OV", "EV")

    @property
    def vetted(self):
        """Somebody looks at the organisation or person as well."""
        return self.validation not in ("DV", "SCANNING")

    @property
    def name(self):
        return self.code.replace("_", " ").title()

    @property
    def months(self):
        if not self.sectigo:
            return (12, 24, 36) if self.for_domains else (12,)
        if self.validation == "DV":
            return (1, 3, 6, 12, 24, 36)
        return (12, 24, 36)

    @property
    def price(self):
        return {"DV": 9, "OV": 49, "EV": 99}.get(self.validation, 75)

    @property
    def max_san(self):
        return 250 if self.multi else 0

    def required(self, body):
        """Dotted names that an order with this body has to fill."""
        category = _STRICTER.get(self.code, self.category)
        if self.existing_org and int(body.get("TSSOrganizationId") or 0) > 0:
            category = "eo_minimal"
        return CATEGORIES[category]

    def of_type(self, number):
        """Does /product/query/ with this ProductType list it?"""
        if number == 0 or _TYPES[self.validation] == number:
            return True
        return (number == 4 and self.wildcard) or (number == 7 and self.multi)

    def describe(self, auth):
        """One element of the answer of /product/query/."""
        prices = [{
            "NumberOfMonths": months, "NumberOfServer": 1,
            "Price": round(self.price * months / 12, 2),
            "PricePerAdditionalSAN": 5.0 if self.multi else 0.0,
            "PricePerAdditionalServer": 0.0,
            "PricePerWildcardSAN":
                50.0 if self.multi and self.wildcard else 0.0,
            "WildcardPrice": 60.0 if self.wildcard else 0.0,
            "SRP": round(self.price * months / 6, 2),
        } for months in self.months]
        return {
            "AuthResponse": auth,
            "ProductCode": self.code, "ProductName": self.name,
            "ProductSlug": self.code.replace("_", "-"),
            "ProductDescription": "", "ProductType": _TYPES[self.validation],
            "VendorName": self.vendor, "CanbeReissued": self.for_domains,
            "ReissueDays": 30, "isDVProduct": self.validation == "DV",
            "isOVProduct": self.validation == "OV",
            "isEVProduct": self.validation == "EV",
            "isGreenBar": self.validation == "EV",
            "isWildcard": self.wildcard, "isWlidcard": self.wildcard,
            "IsSanEnable": self.multi,
            "isCodeSigning": "CODE_SIGNING" in self.validation,
            "isScanProduct": self.validation == "SCANNING",
            "MinSan": 2 if self.multi and self.sectigo else 0,
            "MaxSan": self.max_san, "isNoOfServerFree": True,
            "IsCompetitiveUpgradeSupported": False,
            "IsSupportAutoInstall": False,
            "isFlexProduct": self.code.endswith("_flex"),
            "IssuanceTime": "minutes", "SiteSeal": "static",
            "Warranty": "10000", "CurrencyCode": "USD",
            "PricingInfo": prices,
        }


def _read():
    table = {}
    for line in _ROWS.strip().splitlines():
        head, codes = line.split(":")
        vendor, validation, flags, category = head.split()
        for code in codes.split():
            table[code] = Product(code, _VENDORS[vendor], validation,
                                  "w" in flags, "m" in flags, "e" in flags,
                                  category)
    return table


PRODUCTS = _read()
