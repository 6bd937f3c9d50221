/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What an order of a product needs: fields by category, names, terms.
 */
#include "orders.h"

#include <stdlib.h>
#include <string.h>

#define ORG "OrganizationInfo.OrganizationName"
#define AT "OrganizationInfo.OrganizationAddress."
#define PLACE " " AT "AddressLine1 " AT "Region " AT "PostalCode " \
	AT "Country " AT "Phone"
#define COUNTRY " OrganizationInfo.JurisdictionCountry"
#define PERSON(who) who ".FirstName " who ".LastName " who ".Phone " \
	who ".Email " who ".OrganizationName " who ".AddressLine1 " \
	who ".City " who ".Region " who ".PostalCode " who ".Country "
#define OV "AdminContact.Email ApproverEmail " ORG PLACE
#define FLEX "AdminContact.FirstName AdminContact.LastName " \
	"AdminContact.Phone AdminContact.Email ApproverEmail " ORG \
	" " AT "LocalityName" PLACE
#define FULL PERSON("AdminContact") PERSON("TechnicalContact") \
	"ApproverEmail FileAuthDVIndicator CNAMEAuthDVIndicator " \
	"SignatureHashAlgorithm " ORG PLACE
#define EVERY "ProductCode ValidityPeriod ServerCount CSR WebServerType " \
	"isCUOrder isRenewalOrder isTrialOrder"

static const struct {
	const char *name;
	const char *members;
} fields[] = {
	[PL_F_DV] = { "dv_minimal", "AdminContact.Email ApproverEmail" },
	[PL_F_DIGICERT_DV] = { "digicert_dv",
	    "TechnicalContact.Email ApproverEmail" },
	[PL_F_OV] = { "ov_org", OV },
	[PL_F_OV_PRO] = { "enterprise_pro_ov", "AdminContact.FirstName " OV },
	[PL_F_EV] = { "ev_jurisdiction", OV COUNTRY },
	[PL_F_FLEX_OV] = { "digicert_ov_flex", FLEX },
	[PL_F_FLEX_EV] = { "digicert_ev_flex", FLEX " AdminContact.Title" },
	[PL_F_EXISTING] = { "eo_minimal", "TSSOrganizationId" },
	[PL_F_FULL] = { "legacy_full", FULL },
	[PL_F_FULL_EV] = { "legacy_full_jurisdiction", FULL COUNTRY },
};
_Static_assert(PL_NELEM(fields) == PL_NFIELDS, "members for each category");

const char *
pl_fields_name(enum pl_fields f)
{
	return fields[f].name;
}

bool
pl_product_has_domains(const struct pl_product *p)
{
	return p->validation == PL_V_DV || p->validation == PL_V_OV ||
	    p->validation == PL_V_EV;
}

bool
pl_product_sectigo(const struct pl_product *p)
{
	return p->vendor == PL_COMODO || p->vendor == PL_SECTIGO;
}

/* ---- fields ------------------------------------------------------------------ */

static void
each_word(const char *words, void (*each)(void *ctx, const char *word),
    void *ctx)
{
	char word[96];
	size_t n;

	for (; *words != '\0'; words += n + (words[n] == ' ')) {
		n = strcspn(words, " ");
		if (n == 0 || n >= sizeof(word))
			continue;
		memcpy(word, words, n);
		word[n] = '\0';
		each(ctx, word);
	}
}

void
pl_product_needs(const struct pl_product *p,
    void (*each)(void *ctx, const char *member), void *ctx)
{
	each_word(fields[p->needs].members, each, ctx);
}

/* Lends the member of a dotted name, or NULL. */
static const json_t *
member(const json_t *j, const char *dotted)
{
	char name[96];
	size_t n;

	for (;; dotted += n + 1) {
		n = strcspn(dotted, ".");
		if (n >= sizeof(name) || !pl_json_is_object(j))
			return NULL;
		memcpy(name, dotted, n);
		name[n] = '\0';
		j = pl_json_get(j, name);
		if (dotted[n] == '\0')
			return j;
	}
}

static bool
is_empty(const json_t *j, const char *name)
{
	const char *s = pl_json_str(j);

	if (s != NULL)
		return s[strspn(s, " \t")] == '\0';
	if (!pl_json_is_int(j))
		return !pl_json_is_bool(j);
	/* -1 servers are as many as one likes. */
	return pl_json_num(j) < 1 && !(strcmp(name, "ServerCount") == 0 &&
	    pl_json_num(j) == -1);
}

struct gathering {
	const json_t *order;
	struct pl_buf *missing;
	size_t n;
};

static void
gather(void *ctx, const char *name)
{
	struct gathering *g = ctx;

	if (!is_empty(member(g->order, name), name))
		return;
	pl_buf_addf(g->missing, "%s%s", g->n > 0 ? ", " : "", name);
	g->n++;
}

enum pl_code
pl_product_check(const struct pl_product *p, const json_t *order,
    struct pl_buf *missing, struct pl_err *err)
{
	struct pl_product known = *p;
	struct pl_buf own;
	struct gathering g = { order, missing, 0 };
	enum pl_code code = PL_OK;

	pl_buf_init(&own, PL_LIM_LINE);
	if (missing == NULL)
		g.missing = &own;
	/* Whoever names an organisation need not describe it. */
	if (p->vendor == PL_DIGICERT &&
	    pl_store_int(order, "TSSOrganizationId", 0) > 0)
		known.needs = PL_F_EXISTING;
	each_word(EVERY, gather, &g);
	pl_product_needs(&known, gather, &g);
	if (g.n > 0)
		code = pl_fail(err, PL_EINVAL, "%s: %zu field%s missing: %s",
		    p->code, g.n, g.n == 1 ? " is" : "s are",
		    g.missing->data);
	pl_buf_clear(&own);
	return code;
}

/* ---- terms ------------------------------------------------------------------- */

unsigned
pl_months_of_days(unsigned days)
{
	uint64_t months = ((uint64_t)days * 100 + 1522) / 3044;

	return months < 1 ? 1 : (unsigned)months;
}

enum pl_code
pl_product_term(const struct pl_product *p, unsigned *months, bool from_days,
    struct pl_err *err)
{
	unsigned near = 0, want = *months;
	struct pl_buf list;

	for (const unsigned *m = p->months; *m != 0; m++) {
		if (*m == want)
			return PL_OK;
		if (*m + 1 == want || (near == 0 && *m == want + 1))
			near = *m;
	}
	if (from_days && near != 0) {
		*months = near;
		return PL_OK;
	}
	pl_buf_init(&list, PL_LIM_LINE);
	for (const unsigned *m = p->months; *m != 0; m++)
		pl_buf_addf(&list, "%s%u", m == p->months ? "" : ", ", *m);
	pl_fail(err, PL_EINVAL, "%s: %u months: it is sold for %s%s", p->code,
	    want, list.len > 0 ? list.data : "no term that is known",
	    p->live ? "" : " (the store was not asked)");
	pl_buf_clear(&list);
	return PL_EINVAL;
}

/* ---- names ------------------------------------------------------------------- */

static const char *
bare(const char *name)
{
	return strncmp(name, "*.", 2) == 0 ? name + 2 : name;
}

/* The same site with or without www, which comes for free. */
static bool
is_twin(const char *common, const char *name)
{
	const char *c = bare(common);

	if (strcmp(c, name) == 0)
		return true;
	if (strncmp(c, "www.", 4) == 0 && strcmp(c + 4, name) == 0)
		return true;
	return strncmp(name, "www.", 4) == 0 && strcmp(name + 4, c) == 0;
}

enum pl_code
pl_product_names(const struct pl_product *p, const char *const *names,
    size_t n, struct pl_err *err)
{
	struct pl_buf wild, extra;
	enum pl_code code = PL_OK;

	if (!pl_product_has_domains(p) || n == 0)
		return PL_OK;
	pl_buf_init(&wild, PL_LIM_LINE);
	pl_buf_init(&extra, PL_LIM_LINE);
	for (size_t i = 0; i < n; i++) {
		if (!p->wildcard && strncmp(names[i], "*.", 2) == 0)
			pl_buf_addf(&wild, "%s%s", wild.len > 0 ? ", " : "",
			    names[i]);
		else if (i > 0 && !p->multi && !is_twin(names[0], names[i]))
			pl_buf_addf(&extra, "%s%s", extra.len > 0 ? ", " : "",
			    names[i]);
	}
	if (wild.len > 0)
		code = pl_fail(err, PL_EINVAL, "%s: takes no wildcard name: "
		    "%s", p->code, wild.data);
	else if (extra.len > 0)
		code = pl_fail(err, PL_EINVAL, "%s: takes one domain (%s), "
		    "not: %s", p->code, names[0], extra.data);
	else if (p->lone_wildcard && strncmp(names[0], "*.", 2) != 0)
		code = pl_fail(err, PL_EINVAL, "%s: %s: the product is for a "
		    "wildcard name", p->code, names[0]);
	pl_buf_clear(&wild);
	pl_buf_clear(&extra);
	return code;
}
