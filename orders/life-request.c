/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Bodies of the requests that place and reissue orders.  Pure. */
#include "book.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const contact_members[] = { "FirstName", "LastName",
	"SubjectFirstName", "SubjectLastName", "Phone", "Fax", "Email",
	"Title", "OrganizationName", "AddressLine1", "AddressLine2", "City",
	"Region", "PostalCode", "Country", NULL };
static const char *const organization_members[] = { "OrganizationName",
	"DUNS", "Division", "IncorporatingAgency", "RegistrationNumber",
	"JurisdictionCity", "JurisdictionRegion", "JurisdictionCountry",
	"AssumedName", "OrganizationAddress", NULL };
static const char *const address_members[] = { "AddressLine1",
	"AddressLine2", "AddressLine3", "City", "Region", "PostalCode",
	"Country", "Phone", "Fax", "LocalityName", NULL };
static const char *const outer_members[] = { "AdminContact",
	"TechnicalContact", "OrganizationInfo", "TSSOrganizationId", NULL };

static json_t *
copy(const json_t *j)
{
	char *text = pl_json_text(j);
	json_t *out = NULL;

	pl_json_parse(&out, text, strlen(text), "copy", NULL);
	free(text);
	return out;
}

/* ---- --contact ----------------------------------------------------------------- */

/* Members that are not known, or no texts, into b. */
static void
odd_members(struct pl_buf *b, const json_t *object, const char *path,
    const char *const *known)
{
	const char *key;
	json_t *value;
	void *it = NULL;

	while ((it = pl_json_iter(object, it, &key, &value)) != NULL) {
		const char *near = pl_nearest(key, known);

		if (!pl_str_in(key, known))
			pl_buf_addf(b, "%s%s.%s: unknown member%s%s%s",
			    b->len > 0 ? "; " : "", path, key, near != NULL ?
			    " (" : "", near != NULL ? near : "",
			    near != NULL ? "?)" : "");
		else if (strcmp(key, "OrganizationAddress") != 0 &&
		    !pl_json_is_string(value))
			pl_buf_addf(b, "%s%s.%s: a text is expected",
			    b->len > 0 ? "; " : "", path, key);
	}
}

static void
odd_object(struct pl_buf *b, const json_t *from, const char *name,
    const char *const *known)
{
	const json_t *object = pl_json_get(from, name);
	const json_t *address;

	if (object == NULL)
		return;
	if (!pl_json_is_object(object)) {
		pl_buf_addf(b, "%s%s: an object is expected", b->len > 0 ?
		    "; " : "", name);
		return;
	}
	odd_members(b, object, name, known);
	address = pl_json_get(object, "OrganizationAddress");
	if (address != NULL && !pl_json_is_object(address))
		pl_buf_addf(b, "%s%s.OrganizationAddress: an object is "
		    "expected", b->len > 0 ? "; " : "", name);
	else if (address != NULL)
		odd_members(b, address, "OrganizationInfo.OrganizationAddress",
		    address_members);
}

enum pl_code
pl_life_contact(const json_t *contact, const char *what, struct pl_err *err)
{
	const json_t *number = pl_json_get(contact, "TSSOrganizationId");
	struct pl_buf b;
	enum pl_code code;

	if (!pl_json_is_object(contact))
		return pl_fail(err, PL_EINVAL, "%s: an object is expected",
		    what);
	code = pl_json_known(contact, "", outer_members, err);
	if (code != PL_OK)
		return pl_prefix(err, "%s", what);
	pl_buf_init(&b, PL_LIM_LINE);
	odd_object(&b, contact, "AdminContact", contact_members);
	odd_object(&b, contact, "TechnicalContact", contact_members);
	odd_object(&b, contact, "OrganizationInfo", organization_members);
	if (number != NULL && (!pl_json_is_int(number) ||
	    pl_json_num(number) < 1))
		pl_buf_addf(&b, "%sTSSOrganizationId: a whole number is "
		    "expected", b.len > 0 ? "; " : "");
	if (b.len > 0)
		code = pl_fail(err, PL_EINVAL, "%s: %s", what, b.data);
	pl_buf_clear(&b);
	return code;
}

/* ---- neworder ---------------------------------------------------------------------- */

static const char *
text_of(const json_t *object, const char *name)
{
	const char *s = pl_json_str(pl_json_get(object, name));

	return s != NULL && s[0] != '\0' ? s : NULL;
}

/* The city goes by two names. */
static void
both_cities(json_t *organization)
{
	json_t *address = pl_json_get(organization, "OrganizationAddress");
	const char *city = text_of(address, "City");
	const char *locality = text_of(address, "LocalityName");

	if (city != NULL && locality == NULL)
		pl_json_sets(address, "LocalityName", city);
	else if (locality != NULL && city == NULL)
		pl_json_sets(address, "City", locality);
}

static void
add_contact(json_t *body, const struct pl_order_ask *a)
{
	static const char *const people[] = { "AdminContact",
		"TechnicalContact" };
	int64_t org = pl_json_num(pl_json_get(a->contact,
	    "TSSOrganizationId"));
	json_t *info;

	for (size_t i = 0; i < PL_NELEM(people); i++) {
		const json_t *one = pl_json_get(a->contact, people[i]);

		if (one != NULL)
			pl_json_set(body, people[i], copy(one));
	}
	if (a->product->existing) {
		/* DigiCert knows the organisation: none may be told. */
		info = pl_json_object();
		pl_json_set(info, "OrganizationAddress", pl_json_object());
		pl_json_set(body, "OrganizationInfo", info);
		pl_json_seti(body, "TSSOrganizationId", org);
		return;
	}
	if (pl_json_get(a->contact, "OrganizationInfo") != NULL) {
		info = copy(pl_json_get(a->contact, "OrganizationInfo"));
		both_cities(info);
		pl_json_set(body, "OrganizationInfo", info);
	}
}

static const char *
signature_of(const struct pl_product *p, const char *wanted)
{
	if (wanted != NULL && wanted[0] != '\0')
		return wanted;
	return pl_product_sectigo(p) ? "PREFER_SHA2" : "SHA2-256";
}

/* A name without its "www." or with it is the same site. */
static bool
is_twin(const char *a, const char *b)
{
	return (strncmp(a, "www.", 4) == 0 && strcmp(a + 4, b) == 0) ||
	    (strncmp(b, "www.", 4) == 0 && strcmp(b + 4, a) == 0);
}

static void
add_names(json_t *body, const struct pl_order_ask *a)
{
	json_t *list = pl_json_array();
	int64_t wild = 0, plain = 0;

	for (size_t i = 1; i < a->n; i++) {
		pl_json_append(list, pl_json_string(a->names[i]));
		if (strncmp(a->names[i], "*.", 2) == 0)
			wild++;
		else
			plain++;
	}
	pl_json_set(body, "DNSNames", list);
	if (!a->product->multi) {
		if (strcmp(a->product->code, "positivessl") == 0)
			pl_json_setb(body, "AutoWWW", a->n == 2 &&
			    is_twin(a->names[0], a->names[1]));
		return;
	}
	/* Flex products sell wildcard names apart. */
	if (strstr(a->product->code, "_flex") == NULL &&
	    strstr(a->product->code, "_basic") == NULL) {
		plain += wild;
		wild = 0;
	} else
		pl_json_seti(body, "WildcardReserveSANCount", wild);
	pl_json_seti(body, "ReserveSANCount", plain);
}

enum pl_code
pl_life_neworder(json_t **out, const struct pl_order_ask *a,
    struct pl_err *err)
{
	json_t *b = pl_json_object();
	enum pl_code code = PL_OK;

	*out = NULL;
	pl_json_sets(b, "CustomOrderID", a->custom_id);
	pl_json_sets(b, "ProductCode", a->product->sent);
	pl_json_seti(b, "ValidityPeriod", a->months);
	pl_json_seti(b, "ServerCount", a->servers);
	pl_json_sets(b, "CSR", a->csr->pem);
	pl_json_sets(b, "DomainName", a->n > 0 ? a->names[0] :
	    a->csr->cn != NULL ? a->csr->cn : "");
	pl_json_sets(b, "WebServerType", a->server_type);
	pl_json_setb(b, "isCUOrder", false);
	pl_json_setb(b, "isRenewalOrder", a->renews != NULL);
	pl_json_setb(b, "isTrialOrder", false);
	if (a->renews != NULL)
		pl_json_sets(b, "RelatedTheSSLStoreOrderID", a->renews);
	add_contact(b, a);
	pl_json_setb(b, "AddInstallationSupport", false);
	pl_json_sets(b, "EmailLanguageCode", "EN");
	pl_json_sets(b, "SignatureHashAlgorithm", signature_of(a->product,
	    a->signature));
	pl_json_sets(b, "DateTimeCulture", "en-US");
	if (a->unique != NULL && pl_product_sectigo(a->product))
		pl_json_sets(b, "CSRUniqueValue", a->unique);
	pl_json_setb(b, "FileAuthDVIndicator", false);
	pl_json_setb(b, "HTTPSFileAuthDVIndicator", false);
	pl_json_setb(b, "CNAMEAuthDVIndicator", false);
	if (a->n > 0) {
		add_names(b, a);
		code = pl_dcv_fill(a->product, b, false, a->names, a->methods,
		    a->mails, a->n, a->lone, err);
	} else if (a->lone != NULL)
		pl_json_sets(b, "ApproverEmail", a->lone);
	if (code != PL_OK) {
		pl_json_free(b);
		return code;
	}
	*out = b;
	return PL_OK;
}

/* ---- reissue ------------------------------------------------------------------------- */

static bool
in_list(const char *const *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i], name) == 0)
			return true;
	}
	return false;
}

static void
add_pair(json_t *list, const char *old, const char *new)
{
	json_t *pair = pl_json_object();

	pl_json_sets(pair, "OldValue", old);
	pl_json_sets(pair, "NewValue", new);
	pl_json_append(list, pair);
}

static void
reissue_names(json_t *b, const struct pl_reissue_ask *a)
{
	json_t *sans = pl_json_array(), *add = pl_json_array(),
	    *del = pl_json_array();

	for (size_t i = 1; i < a->n; i++) {
		pl_json_append(sans, pl_json_string(a->names[i]));
		if (!in_list(a->before, a->nbefore, a->names[i]))
			add_pair(add, "", a->names[i]);
	}
	for (size_t i = 0; i < a->nbefore; i++) {
		if (!in_list(a->names, a->n, a->before[i]))
			add_pair(del, a->before[i], "");
	}
	pl_json_set(b, "DNSNames", sans);
	pl_json_set(b, "EditSAN", pl_json_array());
	pl_json_set(b, "AddSAN", add);
	pl_json_set(b, "DeleteSAN", del);
}

/* The address of the order's admin contact, which a reissue must name. */
static char *
admin_mail(const json_t *status)
{
	char *mail = pl_store_text(pl_store_object(status, "AdminContact"),
	    "Email");

	if (mail == NULL)
		mail = pl_store_text(pl_store_object(status,
		    "TechnicalContact"), "Email");
	return mail;
}

static bool
wild_product(const struct pl_product *p)
{
	return strstr(p->sent, "wc") != NULL ||
	    strstr(p->sent, "wildcard") != NULL;
}

enum pl_code
pl_life_reissue(json_t **out, const struct pl_reissue_ask *a,
    struct pl_err *err)
{
	char *mail = admin_mail(a->status);
	char *server = pl_store_text(a->status, "WebServerType");
	char *signature = pl_store_text(a->status, "SignatureHashAlgorithm");
	json_t *b;
	enum pl_code code;

	*out = NULL;
	if (mail == NULL) {
		code = pl_fail(err, PL_EINVAL, "order %s: the store knows no "
		    "address of its admin contact, which a reissue needs",
		    a->store_id);
		goto out;
	}
	b = pl_json_object();
	pl_json_sets(b, "TheSSLStoreOrderID", a->store_id);
	pl_json_sets(b, "CSR", a->csr->pem);
	pl_json_sets(b, "WebServerType", server != NULL ? server : "Other");
	reissue_names(b, a);
	pl_json_setb(b, "isRenewalOrder", false);
	pl_json_setb(b, "isWildCard", wild_product(a->product));
	pl_json_sets(b, "ReissueEmail", mail);
	pl_json_setb(b, "PreferEnrollmentLink", false);
	pl_json_sets(b, "SignatureHashAlgorithm", signature_of(a->product,
	    signature));
	pl_json_sets(b, "DateTimeCulture", "en-US");
	pl_json_setb(b, "FileAuthDVIndicator", false);
	pl_json_setb(b, "HTTPSFileAuthDVIndicator", false);
	pl_json_setb(b, "CNAMEAuthDVIndicator", false);
	if (pl_product_sectigo(a->product))
		pl_json_sets(b, "CSRUniqueValue", a->unique);
	code = pl_dcv_fill(a->product, b, true, a->names, a->methods,
	    a->mails, a->n, a->lone, err);
	if (code != PL_OK)
		pl_json_free(b);
	else
		*out = b;
out:
	free(mail);
	free(server);
	free(signature);
	return code;
}

/* ---- what a renewal carries over ---------------------------------------------------- */

static void
carry_text(json_t *to, const char *name, const json_t *from,
    const char *member)
{
	char *text = pl_store_text(from, member);
	const char *code;

	if (text == NULL)
		return;
	code = strcmp(name, "Country") == 0 ? pl_country_code(text) : NULL;
	pl_json_sets(to, name, code != NULL ? code : text);
	free(text);
}

static void
carry_person(json_t *to, const char *name, const json_t *status)
{
	const json_t *from = pl_store_object(status, name);
	json_t *person = pl_json_object();

	for (size_t i = 0; contact_members[i] != NULL; i++)
		carry_text(person, contact_members[i], from,
		    contact_members[i]);
	if (pl_json_count(person) > 0)
		pl_json_set(to, name, person);
	else
		pl_json_free(person);
}

static void
carry_organization(json_t *to, const json_t *status)
{
	static const char *const pairs[][2] = {
		{ "AddressLine1", "OrganizationAddress" },
		{ "City", "Locality" }, { "LocalityName", "Locality" },
		{ "Region", "State" }, { "PostalCode",
		"OrganizationPostalcode" }, { "Country", "Country" },
		{ "Phone", "OrganizationPhone" } };
	char *name = pl_store_text(status, "Organization");
	json_t *info, *address;

	if (name == NULL)
		return;
	info = pl_json_object();
	address = pl_json_object();
	pl_json_sets(info, "OrganizationName", name);
	carry_text(info, "DUNS", status, "DUNS");
	for (size_t i = 0; i < PL_NELEM(pairs); i++)
		carry_text(address, pairs[i][0], status, pairs[i][1]);
	pl_json_set(info, "OrganizationAddress", address);
	pl_json_set(to, "OrganizationInfo", info);
	free(name);
}

/* Lays the members of `from` over `to`, objects member by member. */
static void
lay_over(json_t *to, const json_t *from)
{
	const char *key;
	json_t *value, *have;
	void *it = NULL;

	while ((it = pl_json_iter(from, it, &key, &value)) != NULL) {
		have = pl_json_get(to, key);
		if (pl_json_is_object(value) && pl_json_is_object(have))
			lay_over(have, value);
		else
			pl_json_set(to, key, copy(value));
	}
}

json_t *
pl_life_carry(const json_t *status, const json_t *request,
    const json_t *extra)
{
	json_t *out = pl_json_object();
	int64_t org = pl_store_int(status, "TSSOrganizationId", 0);

	carry_person(out, "AdminContact", status);
	carry_person(out, "TechnicalContact", status);
	if (org > 0)
		pl_json_seti(out, "TSSOrganizationId", org);
	else
		carry_organization(out, status);
	for (size_t i = 0; request != NULL && outer_members[i] != NULL; i++) {
		json_t *one = pl_json_get(request, outer_members[i]);
		json_t *wrap;

		if (one == NULL || (org > 0 && i > 1))
			continue;
		wrap = pl_json_object();
		pl_json_set(wrap, outer_members[i], copy(one));
		lay_over(out, wrap);
		pl_json_free(wrap);
	}
	if (extra != NULL)
		lay_over(out, extra);
	return out;
}

/* ---- the CSR's spelling ---------------------------------------------------------------- */

bool
pl_life_csr_refused(const struct pl_err *err)
{
	return err->code == PL_EREMOTE &&
	    (strcasestr(err->text, "csr_invalid") != NULL ||
	    strcasestr(err->text, "csr cannot be decoded") != NULL ||
	    strcasestr(err->text, "invalid csr") != NULL);
}

json_t *
pl_life_percent_csr(const json_t *request)
{
	const char *pem = pl_json_str(pl_json_get(request, "CSR"));
	json_t *out = copy(request);
	struct pl_buf b;

	pl_buf_init(&b, 4 * PL_CSR_MAX);
	pl_url_escape(&b, pem != NULL ? pem : "", false);
	pl_json_sets(out, "CSR", b.data);
	pl_buf_clear(&b);
	return out;
}

/* ---- marks of ours ------------------------------------------------------------------------ */

void
pl_life_custom_id(char out[37])
{
	unsigned char r[16];

	pl_random(r, sizeof(r));
	r[6] = (unsigned char)((r[6] & 0x0f) | 0x40);	/* RFC 9562, version 4 */
	r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2], r[3], r[4], r[5],
	    r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
}

void
pl_life_unique(char out[17])
{
	pl_random_name(out, 16);
}
