/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What the store sells.  A row stands for one product of the store; with E
 * it has a twin "CODE-EO", which is the same product for an organisation that
 * DigiCert knows already: the suffix is never sent.
 */
#include "orders.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define W 0x1	/* takes wildcard names */
#define M 0x2	/* takes several domains */
#define E 0x4	/* has a twin with -EO */
#define EO "-EO"
#define EO_NAME " (Enterprise Org)"

#define D PL_DIGICERT
#define C PL_COMODO
#define S PL_SECTIGO
#define V(word) PL_V_##word
#define F(word) PL_F_##word

struct row {
	const char *code, *name;
	enum pl_vendor vendor;
	enum pl_validation validation;
	unsigned abilities;
	enum pl_fields fields;
};

static const struct row rows[] = {
	{ "digi_securesite_flex", "DigiCert Secure Site",
	    D, V(OV), W | M | E, F(FLEX_OV) },
	{ "digi_securesite_ev_flex", "DigiCert Secure Site EV",
	    D, V(EV), M | E, F(FLEX_EV) },
	{ "digi_securesite_pro_flex", "DigiCert Secure Site Pro",
	    D, V(OV), W | M | E, F(EXISTING) },
	{ "digi_securesite_pro_ev_flex", "DigiCert Secure Site Pro EV",
	    D, V(EV), M | E, F(FLEX_EV) },
	{ "digi_sslwebserver_flex", "DigiCert SSL Web Server",
	    D, V(OV), W | M | E, F(FLEX_OV) },
	{ "digi_sslwebserver_ev_flex", "DigiCert SSL Web Server EV",
	    D, V(EV), M | E, F(FLEX_EV) },
	{ "digi_truebizid_flex", "DigiCert TrueBizID",
	    D, V(OV), W | M | E, F(FLEX_OV) },
	{ "digi_truebizid_ev_flex", "DigiCert TrueBizID EV",
	    D, V(EV), M | E, F(FLEX_EV) },
	{ "digi_ssl_basic", "DigiCert Basic SSL",
	    D, V(OV), W | M | E, F(FLEX_OV) },
	{ "digi_ssl_ev_basic", "DigiCert Basic SSL EV",
	    D, V(EV), M | E, F(FLEX_EV) },
	{ "digi_rapidssl", "RapidSSL", D, V(DV), 0, F(DIGICERT_DV) },
	{ "digi_rapidssl_wc", "RapidSSL Wildcard",
	    D, V(DV), W, F(DIGICERT_DV) },
	{ "digi_ssl_dv_geotrust_flex", "GeoTrust DV SSL",
	    D, V(DV), W | M, F(DIGICERT_DV) },
	{ "digi_ssl123_flex", "GeoTrust SSL123",
	    D, V(DV), W | M, F(DIGICERT_DV) },
	{ "digi_quickssl_md", "DigiCert QuickSSL Multi-Domain",
	    D, V(DV), M, F(FULL_EV) },
	{ "digi_client_premium", "DigiCert Client Premium",
	    D, V(CLIENT), 0, F(FULL) },
	{ "digi_csc", "DigiCert Code Signing", D, V(CODE_SIGNING), 0, F(FULL) },
	{ "digi_csc_ev", "DigiCert EV Code Signing",
	    D, V(EV_CODE_SIGNING), 0, F(FULL) },
	{ "digi_doc_signing_ind_500", "DigiCert Document Signing Individual 500",
	    D, V(DOCUMENT_SIGNING), 0, F(FULL) },
	{ "digi_doc_signing_ind_2000", "DigiCert Document Signing Individual 2000",
	    D, V(DOCUMENT_SIGNING), 0, F(FULL) },
	{ "digi_doc_signing_org_2000", "DigiCert Document Signing Organization 2000",
	    D, V(DOCUMENT_SIGNING), 0, F(FULL) },
	{ "digi_doc_signing_org_5000", "DigiCert Document Signing Organization 5000",
	    D, V(DOCUMENT_SIGNING), 0, F(FULL) },
	{ "positivessl", "Positive SSL", C, V(DV), 0, F(DV) },
	{ "positivesslwildcard", "Positive SSL Wildcard", C, V(DV), W, F(DV) },
	{ "positivemdcssl", "Positive SSL Multi-Domain", C, V(DV), M, F(DV) },
	{ "positivemdcwildcard", "Positive SSL MDC Wildcard",
	    C, V(DV), W | M, F(DV) },
	{ "positiveevssl", "Positive EV SSL", C, V(EV), 0, F(EV) },
	{ "positiveevmdc", "Positive EV Multi-Domain", C, V(EV), M, F(EV) },
	{ "sectigossl", "Sectigo SSL", S, V(DV), 0, F(DV) },
	{ "sectigowildcard", "Sectigo Wildcard", S, V(DV), W, F(DV) },
	{ "sectigoovssl", "Sectigo OV SSL", S, V(OV), 0, F(OV) },
	{ "sectigoovwildcard", "Sectigo OV Wildcard", S, V(OV), W, F(OV) },
	{ "sectigoevssl", "Sectigo EV SSL", S, V(EV), 0, F(DV) },
	{ "sectigodvucc", "Sectigo DV UCC", S, V(DV), M, F(DV) },
	{ "sectigouccwildcard", "Sectigo UCC Wildcard",
	    S, V(DV), W | M, F(DV) },
	{ "sectigomdc", "Sectigo Multi-Domain", S, V(OV), M, F(OV) },
	{ "sectigomdcwildcard", "Sectigo MDC Wildcard",
	    S, V(OV), W | M, F(OV) },
	{ "sectigoevmdc", "Sectigo EV Multi-Domain", S, V(EV), M, F(EV) },
	{ "comodopremiumssl", "Comodo Premium SSL", C, V(OV), 0, F(OV) },
	{ "comodopremiumwildcard", "Comodo Premium Wildcard",
	    C, V(OV), W, F(OV) },
	{ "comodossl", "Comodo SSL", C, V(OV), 0, F(FULL) },
	{ "comodoevssl", "Comodo EV SSL", C, V(EV), 0, F(FULL) },
	{ "comodomdc", "Comodo Multi-Domain", C, V(OV), M, F(FULL) },
	{ "comodomdcwildcard", "Comodo MDC Wildcard",
	    C, V(OV), W | M, F(FULL) },
	{ "comodoevmdc", "Comodo EV Multi-Domain", C, V(EV), M, F(FULL) },
	{ "comodoucc", "Comodo UCC", C, V(OV), M, F(FULL) },
	{ "comodouccwildcard", "Comodo UCC Wildcard",
	    C, V(OV), W | M, F(FULL) },
	{ "comodowildcard", "Comodo Wildcard", C, V(OV), W, F(FULL) },
	{ "comodocsc", "Comodo Code Signing", C, V(CODE_SIGNING), 0, F(FULL) },
	{ "comodoevcsc", "Comodo EV Code Signing",
	    C, V(EV_CODE_SIGNING), 0, F(FULL) },
	{ "comododvucc", "Comodo DV UCC", C, V(DV), M, F(FULL) },
	{ "comodopciscan", "Comodo PCI Scan", C, V(SCANNING), 0, F(FULL) },
	{ "instantssl", "InstantSSL", C, V(OV), 0, F(OV) },
	{ "instantsslpro", "InstantSSL Pro", C, V(OV), 0, F(OV) },
	{ "enterprisepro", "Enterprise Pro SSL", C, V(OV), 0, F(OV_PRO) },
	{ "enterpriseprowc", "Enterprise Pro Wildcard", C, V(OV), W, F(OV) },
	{ "enterpriseproev", "Enterprise Pro EV", C, V(EV), 0, F(EV) },
	{ "enterpriseproevmdc", "Enterprise Pro EV Multi-Domain",
	    C, V(EV), M, F(EV) },
	{ "enterprisessl", "Enterprise SSL", C, V(OV), 0, F(FULL) },
	{ "essentialssl", "Essential SSL", C, V(DV), 0, F(FULL) },
	{ "essentialwildcard", "Essential Wildcard", C, V(DV), W, F(FULL) },
	{ "elitessl", "Elite SSL", C, V(OV), 0, F(FULL) },
	{ "hackerprooftm", "HackerProof Trust Mark",
	    C, V(SCANNING), 0, F(FULL) },
	{ "hgpcicontrolscan", "HackerGuardian PCI Scan Control Center",
	    C, V(SCANNING), 0, F(FULL) },
	{ "pacbasic", "Comodo Personal Authentication Certificate Basic",
	    C, V(CLIENT), 0, F(FULL) },
	{ "pacpro", "Comodo Personal Authentication Certificate Pro",
	    C, V(CLIENT), 0, F(FULL) },
	{ "pacenterprise", "Comodo Personal Authentication Certificate Enterprise",
	    C, V(CLIENT), 0, F(FULL) },
};

/* Rows whose two sources disagree: the longer list is asked for. */
static const struct {
	const char *code;
	enum pl_fields needs;
} stricter[] = {
	{ "digi_securesite_pro_flex", F(FLEX_OV) },
	{ "sectigoevssl", F(EV) },
};

static const char *const vendors[] = { [D] = "DIGICERT", [C] = "COMODO",
	[S] = "SECTIGO" };
_Static_assert(PL_NELEM(vendors) == PL_NVENDORS, "a name for each vendor");

#define SECTIGO_CAA "sectigo.com,comodo.com,comodoca.com,usertrust.com," \
	"trust-provider.com"
static const char *const caa[] = {
	[D] = "digicert.com,geotrust.com,rapidssl.com,thawte.com,symantec.com",
	[C] = SECTIGO_CAA, [S] = SECTIGO_CAA };
_Static_assert(PL_NELEM(caa) == PL_NVENDORS, "CAA names for each vendor");

static const char *const validations[] = { [V(DV)] = "DV", [V(OV)] = "OV",
	[V(EV)] = "EV", [V(CODE_SIGNING)] = "CODE_SIGNING",
	[V(EV_CODE_SIGNING)] = "EV_CODE_SIGNING", [V(CLIENT)] = "CLIENT",
	[V(DOCUMENT_SIGNING)] = "DOCUMENT_SIGNING",
	[V(SCANNING)] = "SCANNING" };
_Static_assert(PL_NELEM(validations) == PL_NVALIDATIONS,
    "a name for each level");

const char *
pl_vendor_name(enum pl_vendor v)
{
	return vendors[v];
}

const char *
pl_vendor_caa(enum pl_vendor v)
{
	return caa[v];
}

const char *
pl_validation_name(enum pl_validation v)
{
	return validations[v];
}

bool
pl_vendor_parse(enum pl_vendor *v, const char *text)
{
	for (size_t i = 0; i < PL_NELEM(vendors); i++) {
		if (strcasecmp(vendors[i], text) == 0) {
			*v = (enum pl_vendor)i;
			return true;
		}
	}
	return false;
}

/* "code-signing" and "code_signing" are the same word. */
static bool
same_word(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++)
		if (strncasecmp(a, b, 1) != 0 && !(*a == '_' && *b == '-'))
			return false;
	return *a == *b;
}

bool
pl_validation_parse(enum pl_validation *v, const char *text)
{
	for (size_t i = 0; i < PL_NELEM(validations); i++) {
		if (same_word(validations[i], text)) {
			*v = (enum pl_validation)i;
			return true;
		}
	}
	return false;
}

/* Terms by product line, until the store itself has told. */
static void
fill_months(struct pl_product *p)
{
	static const unsigned dv[] = { 1, 3, 6, 12, 24, 36, 0 },
	    usual[] = { 12, 24, 36, 0 };

	if (p->validation == V(DV) && p->vendor != D)
		memcpy(p->months, dv, sizeof(dv));
	else
		memcpy(p->months, usual, sizeof(usual));
}

static void
fill(struct pl_product *p, const struct row *r, bool twin)
{
	memset(p, 0, sizeof(*p));
	snprintf(p->code, sizeof(p->code), "%s%s", r->code, twin ? EO : "");
	snprintf(p->sent, sizeof(p->sent), "%s", r->code);
	snprintf(p->name, sizeof(p->name), "%s%s", r->name,
	    twin ? EO_NAME : "");
	p->vendor = r->vendor;
	p->validation = r->validation;
	p->wildcard = (r->abilities & W) != 0;
	p->multi = (r->abilities & M) != 0;
	p->existing = twin;
	p->lone_wildcard = p->wildcard && !p->multi;
	p->category = p->needs = twin ? F(EXISTING) : r->fields;
	for (size_t i = 0; !twin && i < PL_NELEM(stricter); i++)
		if (strcmp(stricter[i].code, r->code) == 0)
			p->needs = stricter[i].needs;
	fill_months(p);
}

size_t
pl_product_count(void)
{
	size_t n = PL_NELEM(rows);

	for (size_t i = 0; i < PL_NELEM(rows); i++)
		n += (rows[i].abilities & E) != 0;
	return n;
}

void
pl_product_at(struct pl_product *out, size_t i)
{
	for (size_t k = 0; k < PL_NELEM(rows); k++) {
		bool twin = (rows[k].abilities & E) != 0;

		if (i <= (size_t)twin) {
			fill(out, &rows[k], i == 1);
			return;
		}
		i -= 1 + (size_t)twin;
	}
	memset(out, 0, sizeof(*out));
}

enum pl_code
pl_product_find(struct pl_product *out, const char *code, struct pl_err *err)
{
	const char *words[PL_NELEM(rows) + 1], *near;

	for (size_t i = 0; i < pl_product_count(); i++) {
		pl_product_at(out, i);
		if (strcasecmp(out->code, code) == 0)
			return PL_OK;
	}
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < PL_NELEM(rows); i++)
		words[i] = rows[i].code;
	words[PL_NELEM(rows)] = NULL;
	near = pl_nearest(code, words);
	if (near != NULL)
		return pl_fail(err, PL_EINVAL, "product %.80s: no such code; "
		    "did you mean \"%s\"?", code, near);
	return pl_fail(err, PL_EINVAL, "product %.80s: no such code; "
	    "\"product list\" shows all", code);
}
