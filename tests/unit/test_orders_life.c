/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "orders.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY (86400 * INT64_C(1000))

static json_t *
parsed(const char *text)
{
	struct pl_err err;
	json_t *j;

	if (pl_json_parse(&j, text, strlen(text), "test", &err) != PL_OK)
		fail_msg("%s", err.text);
	return j;
}

static void
test_states(void **state PL_UNUSED)
{
	static const struct {
		const char *major, *minor;
		enum pl_order_state state;
	} rows[] = {
		{ "Active", "ISSUED", PL_O_ISSUED },
		{ "active", NULL, PL_O_ISSUED },
		{ "Active", "PENDING_REISSUE", PL_O_REISSUING },
		{ "ACTIVE", "pending_reissue", PL_O_REISSUING },
		{ "enrolled", "", PL_O_ISSUED }, { "Valid", "", PL_O_ISSUED },
		{ "complete", "", PL_O_ISSUED },
		{ "completed", "", PL_O_ISSUED },
		{ "start", "", PL_O_ISSUED },
		{ "replaced", "", PL_O_ISSUED },
		{ "Pending", "PENDING_REISSUE", PL_O_PENDING },
		{ "Initial", NULL, PL_O_PENDING },
		{ NULL, NULL, PL_O_PENDING },
		{ "something new", "X", PL_O_PENDING },
		{ "Cancelled", "", PL_O_CANCELLED },
		{ "refunded", "", PL_O_CANCELLED },
		{ "Revoked", "", PL_O_REVOKED },
		{ "Rejected", "", PL_O_FAILED },
		{ "order rejected", "", PL_O_FAILED },
		{ "certgen_failed", "", PL_O_FAILED },
		{ "Expired", "", PL_O_EXPIRED },
	};

	for (size_t i = 0; i < PL_NELEM(rows); i++)
		assert_int_equal(pl_life_state(rows[i].major, rows[i].minor,
		    false), rows[i].state);
	assert_int_equal(pl_life_state("Active", "ISSUED", true),
	    PL_O_REVOKED);
	for (unsigned s = 0; s < PL_NORDERS; s++) {
		enum pl_order_state back;

		assert_true(pl_order_state_parse(&back,
		    pl_order_state_name(s)));
		assert_int_equal(back, s);
	}
}

static void
test_gaps(void **state PL_UNUSED)
{
	int64_t last = 0;

	for (unsigned n = 0; n < 100; n++) {
		assert_true(pl_life_gap(n) >= last);
		last = pl_life_gap(n);
	}
	assert_int_equal(last, 900000);
	assert_true(pl_life_gap(0) <= 1000);
}

static void
test_placing(void **state PL_UNUSED)
{
	/* Never sent. */
	assert_int_equal(pl_life_placing(0, 0, 60000, 1000), PL_PLACE_SEND);
	/* Sent, not yet looked for: look, however early. */
	assert_int_equal(pl_life_placing(1000, 0, 60000, 1001),
	    PL_PLACE_LOOK);
	/* Not found while the store may still be at it. */
	assert_int_equal(pl_life_placing(1000, 2000, 60000, 3000),
	    PL_PLACE_WAIT);
	/* Its time is over: look once more, then send. */
	assert_int_equal(pl_life_placing(1000, 2000, 60000, 61000),
	    PL_PLACE_LOOK);
	assert_int_equal(pl_life_placing(1000, 61000, 60000, 61001),
	    PL_PLACE_SEND);
	/* A clock that was set back. */
	assert_int_equal(pl_life_placing(1000000, 999000, 60000, 500000),
	    PL_PLACE_LOOK);
}

static void
test_window(void **state PL_UNUSED)
{
	int64_t now = 1000 * DAY;

	assert_true(pl_life_renew(0, 30, now));
	assert_true(pl_life_renew(now + 30 * DAY, 30, now));
	assert_false(pl_life_renew(now + 30 * DAY + 1, 30, now));
	assert_true(pl_life_renew(now - 5 * DAY, 30, now));
	assert_false(pl_life_renew(now + 2 * DAY, 1, now));
}

static void
test_countries(void **state PL_UNUSED)
{
	assert_string_equal(pl_country_code("United States"), "US");
	assert_string_equal(pl_country_code("us"), "US");
	assert_string_equal(pl_country_code("GERMANY"), "DE");
	assert_string_equal(pl_country_code("Great Britain"), "GB");
	assert_null(pl_country_code("Atlantis"));
}

/* ---- challenges ---------------------------------------------------------------- */

struct sheet {
	struct pl_order_challenge *list;
	size_t n;
	struct pl_order_name names[3];
};

static void
read_sheet(struct sheet *s, const char *text, const char *product)
{
	struct pl_err err;
	json_t *j = parsed(text);

	memset(s, 0, sizeof(*s));
	s->names[0] = (struct pl_order_name){ .name = (char *)(uintptr_t)
		"www.example.com", .method = PL_DCV_DNS };
	s->names[1] = (struct pl_order_name){ .name = (char *)(uintptr_t)
		"example.org", .method = PL_DCV_DNS };
	s->names[2] = (struct pl_order_name){ .name = (char *)(uintptr_t)
		"*.example.net", .method = PL_DCV_EMAIL };
	if (pl_life_challenges(&s->list, &s->n, j, product, s->names, 3,
	    &err) != PL_OK)
		fail_msg("%s", err.text);
	pl_json_free(j);
}

#define VETTING(x) "{\"OrderStatus\":{\"DomainAuthVettingStatus\":[" x "]}}"

static void
test_vetting(void **state PL_UNUSED)
{
	struct sheet s;

	read_sheet(&s, VETTING(
	    "{\"domain\":\"\",\"dcvMethod\":\"cname_csr_hash\","
	    "\"dcvStatus\":\"Pending\",\"FileName\":\"\",\"DNSName\":"
	    "\"_AB.www.example.com.\",\"DNSEntry\":\"C.D.sectigo.com.\"},"
	    "{\"domain\":\"Example.org\",\"dcvMethod\":\"HTTP_CSR_HASH\","
	    "\"dcvStatus\":\"APPROVED\",\"FileName\":"
	    "\"http://example.org/.well-known/pki-validation/AB.txt\","
	    "\"FileContents\":\"x\\r\\ny \"},"
	    "{\"domain\":\"*.example.net\",\"dcvMethod\":\"EMAIL\","
	    "\"dcvStatus\":\"Pending\",\"DNSName\":\"_x\"}"), NULL);
	assert_int_equal(s.n, 3);
	assert_string_equal(s.list[0].domain, "www.example.com");
	assert_int_equal(s.list[0].kind, PL_CNAME);
	assert_string_equal(s.list[0].record, "_ab.www.example.com");
	assert_string_equal(s.list[0].value, "c.d.sectigo.com");
	assert_false(s.list[0].approved);
	assert_int_equal(s.list[1].kind, PL_FILE);
	assert_string_equal(s.list[1].record,
	    "/.well-known/pki-validation/AB.txt");
	assert_int_equal(s.list[1].len, 5);
	assert_memory_equal(s.list[1].value, "x\r\ny ", 5);
	assert_true(s.list[1].approved);
	assert_int_equal(s.list[2].kind, PL_NOTHING);
	assert_int_equal(s.list[2].method, PL_DCV_EMAIL);
	pl_order_challenges_clear(s.list, s.n);
}

static void
test_digicert(void **state PL_UNUSED)
{
	struct sheet s;

	read_sheet(&s, VETTING(
	    "{\"domain\":\"www.example.com\",\"dcvMethod\":\"DNS\","
	    "\"DNSName\":\"\",\"DNSEntry\":\"k3v9x0\"},"
	    "{\"domain\":\"example.org\",\"dcvMethod\":\"DNS_CNAME_TOKEN\","
	    "\"DNSName\":\"_dnsauth\",\"DNSEntry\":\"k.dcv.digicert.com\"},"
	    "{\"domain\":\"*.example.net\",\"dcvMethod\":\"DNS\","
	    "\"DNSName\":\"_dnsauth.example.net\","
	    "\"DNSEntry\":\"K.dcv.digicert.com\"}"), "digi_ssl123_flex");
	assert_int_equal(s.list[0].kind, PL_TXT);
	assert_string_equal(s.list[0].record, "www.example.com");
	assert_string_equal(s.list[1].record, "_dnsauth.example.org");
	assert_int_equal(s.list[2].kind, PL_CNAME);
	assert_string_equal(s.list[2].value, "k.dcv.digicert.com");
	pl_order_challenges_clear(s.list, s.n);
}

#define MAIN "{\"CNAMEAuthName\":\"_AB.www.example.com\"," \
	"\"CNAMEAuthValue\":\"c.d.sectigo.com\",\"AuthFileName\":\"\"}"

/* No word on the names: the order's own pair, and for Sectigo its like. */
static void
test_main_only(void **state PL_UNUSED)
{
	struct sheet s;

	read_sheet(&s, MAIN, "digi_ssl123_flex");
	assert_int_equal(s.n, 1);
	pl_order_challenges_clear(s.list, s.n);
	read_sheet(&s, MAIN, "positivemdcssl");
	assert_int_equal(s.n, 2);
	assert_string_equal(s.list[1].domain, "example.org");
	assert_string_equal(s.list[1].record, "_ab.example.org");
	assert_string_equal(s.list[1].value, "c.d.sectigo.com");
	pl_order_challenges_clear(s.list, s.n);
}

static void
test_pair_and_vetting(void **state PL_UNUSED)
{
	struct sheet s;

	read_sheet(&s, "{\"CNAMEAuthName\":\"_AB.www.example.com\","
	    "\"CNAMEAuthValue\":\"c.d.sectigo.com\",\"OrderStatus\":"
	    "{\"DomainAuthVettingStatus\":[{\"domain\":\"www.example.com\","
	    "\"dcvMethod\":\"CNAME_CSR_HASH\",\"dcvStatus\":\"Approved\"}]}}",
	    "positivessl");
	assert_int_equal(s.n, 1);
	assert_int_equal(s.list[0].kind, PL_CNAME);
	assert_true(s.list[0].approved);
	pl_order_challenges_clear(s.list, s.n);
}

/* ---- jobs ------------------------------------------------------------------------ */

static void
put_name(struct pl_order *o, const char *name)
{
	o->names = pl_grow(o->names, o->nnames + 1, sizeof(*o->names));
	o->names[o->nnames++] = (struct pl_order_name){
		.name = pl_strdup(name), .method = -1 };
}

static void
put_challenge(struct pl_order *o, const char *domain, enum pl_kind kind,
    const char *record, const char *value)
{
	o->challenges = pl_grow(o->challenges, o->nchallenges + 1,
	    sizeof(*o->challenges));
	o->challenges[o->nchallenges++] = (struct pl_order_challenge){
		.domain = pl_strdup(domain), .kind = kind,
		.record = pl_strdup(record), .value = pl_strdup(value),
		.len = strlen(value) };
}

static void
test_job(void **state PL_UNUSED)
{
	struct pl_order o = { .id = 17, .generation = 2 };
	struct pl_job job;
	struct pl_err err;

	put_name(&o, "*.example.com");
	put_name(&o, "example.org");
	put_challenge(&o, "*.example.com", PL_CNAME,
	    "_33e7aef9afe28a34fe6c96ddedf3f267.example.com",
	    "a.b.sectigo.com");
	put_challenge(&o, "shop.example.com", PL_CNAME,
	    "_33e7aef9afe28a34fe6c96ddedf3f267.example.com",
	    "a.b.sectigo.com");
	put_challenge(&o, "www.example.com", PL_FILE,
	    "/.well-known/pki-validation/A.txt", "x");
	put_challenge(&o, "www.example.com", PL_TXT, "www.example.com",
	    "random");
	put_challenge(&o, "example.org", PL_NOTHING, "", "");
	put_challenge(&o, "done.example.com", PL_TXT, "done.example.com",
	    "random");
	o.challenges[5].approved = true;
	assert_int_equal(pl_life_open(&o), 4);
	if (pl_life_job(&job, &o, &err) != PL_OK)
		fail_msg("%s", err.text);
	assert_string_equal(job.id, "order-L17-2");
	assert_int_equal(job.n, 3);
	assert_string_equal(job.challenges[0].domain, "example.com");
	assert_int_equal(job.challenges[1].kind, PL_FILE);
	assert_false(job.challenges[1].https);
	assert_int_equal(job.challenges[2].method, PL_DNS_TXT_TOKEN);
	pl_job_clear(&job);
	o.challenges[2].method = PL_DCV_HTTPS_FILE;
	assert_int_equal(pl_life_job(&job, &o, &err), PL_OK);
	assert_true(job.challenges[1].https);
	pl_job_clear(&job);
	/* Nothing is published outside of the names of the order. */
	put_challenge(&o, "www.example.com", PL_CNAME,
	    "_33e7aef9afe28a34fe6c96ddedf3f267.example.net",
	    "a.b.sectigo.com");
	assert_int_equal(pl_life_job(&job, &o, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "not the domain's"));
	pl_order_clear(&o);
	o = (struct pl_order){ .id = 18 };
	put_name(&o, "www.example.co.uk");
	put_challenge(&o, "example.co.uk", PL_TXT, "_dnsauth.example.co.uk",
	    "random");
	assert_int_equal(pl_life_job(&job, &o, &err), PL_OK);
	assert_int_equal(job.n, 1);
	pl_job_clear(&job);
	put_challenge(&o, "victim.co.uk", PL_TXT, "_dnsauth.victim.co.uk",
	    "random");
	assert_int_equal(pl_life_job(&job, &o, &err), PL_EINVAL);
	assert_non_null(strstr(err.text, "no domain of the order"));
	pl_order_clear(&o);
	o = (struct pl_order){ .id = 19 };
	put_challenge(&o, "example.com", PL_FILE,
	    "/.well-known/pki-validation/A.txt", "x");
	assert_int_equal(pl_life_job(&job, &o, &err), PL_EINVAL);
	pl_order_clear(&o);
}

/* ---- an answer over an order ------------------------------------------------------- */

static const char status_text[] = "{\"TheSSLStoreOrderID\":50200001,"
    "\"PartnerOrderID\":\"70100001\",\"CustomOrderID\":\"c\","
    "\"OrderStatus\":{\"MajorStatus\":\"Active\",\"MinorStatus\":\"ISSUED\","
    "\"DomainAuthVettingStatus\":[{\"domain\":\"www.example.com\","
    "\"dcvMethod\":\"EMAIL\",\"dcvStatus\":\"Approved\"}]},"
    "\"CommonName\":\"WWW.example.com\",\"DNSNames\":"
    "\"www.example.com, example.org,\",\"Validity\":\"12\","
    "\"ProductCode\":\"digi_ssl_basic\",\"TSSOrganizationId\":\"4711\","
    "\"ApproverEmail\":\"admin@example.com\",\"SerialNumber\":\"0A\","
    "\"OrderExpiryDate\":\"1/1/2001 1:00:00 AM\",\"OrderExpiryDateInUTC\":"
    "\"3/2/2027 11:59:59 PM\",\"CertificateEndDate\":\"9/16/2026\"}";

static void
test_apply(void **state PL_UNUSED)
{
	struct pl_order o = { 0 };
	struct pl_err err;
	json_t *j = parsed(status_text);
	bool moved;

	if (pl_life_apply(&o, j, &moved, &err) != PL_OK)
		fail_msg("%s", err.text);
	assert_true(moved);
	assert_string_equal(o.store_id, "50200001");
	assert_string_equal(o.custom_id, "c");
	assert_string_equal(o.product, "digi_ssl_basic-EO");
	assert_int_equal(o.state, PL_O_ISSUED);
	assert_int_equal(o.months, 12);
	assert_int_equal(o.nnames, 2);
	assert_string_equal(o.names[0].name, "www.example.com");
	assert_int_equal(o.names[0].method, PL_DCV_EMAIL);
	assert_string_equal(o.names[1].approver, "admin@example.com");
	assert_int_equal(o.expires / DAY, 20879);
	if (pl_life_apply(&o, j, &moved, &err) != PL_OK)
		fail_msg("%s", err.text);
	assert_false(moved);
	/* A revoked certificate counts until there is another one. */
	o.revoked = true;
	pl_life_apply(&o, j, &moved, &err);
	assert_int_equal(o.state, PL_O_REVOKED);
	pl_json_sets(j, "SerialNumber", "0B");
	pl_life_apply(&o, j, &moved, &err);
	assert_int_equal(o.state, PL_O_ISSUED);
	/* An element without details takes nothing away. */
	pl_json_free(j);
	j = parsed("{\"TheSSLStoreOrderID\":\"50200001\",\"OrderStatus\":"
	    "{\"MajorStatus\":\"Cancelled\",\"DomainAuthVettingStatus\":"
	    "null}}");
	pl_life_apply(&o, j, &moved, &err);
	assert_int_equal(o.state, PL_O_CANCELLED);
	assert_int_equal(o.nchallenges, 1);
	assert_int_equal(o.nnames, 2);
	assert_string_equal(o.product, "digi_ssl_basic-EO");
	pl_json_free(j);
	j = parsed("{\"OrderStatus\":null}");
	pl_order_clear(&o);
	assert_int_equal(pl_life_apply(&o, j, &moved, &err), PL_EPROTO);
	pl_order_clear(&o);
	pl_json_free(j);
}

static void
test_downgrade(void **state PL_UNUSED)
{
	struct pl_order o = { .state = PL_O_PENDING, .ours = true };
	struct pl_err err;

	o.names = pl_array(1, sizeof(*o.names));
	o.nnames = 1;
	o.names[0].name = pl_strdup("www.example.com");
	o.names[0].method = PL_DCV_DNS;
	/* Not a word on the main name is bad enough. */
	assert_int_equal(pl_life_downgraded(&o, &err), PL_EREMOTE);
	put_challenge(&o, "www.example.com", PL_NOTHING, "", "");
	o.challenges[0].method = PL_DCV_EMAIL;
	assert_int_equal(pl_life_downgraded(&o, &err), PL_EREMOTE);
	o.challenges[0].approved = true;
	assert_int_equal(pl_life_downgraded(&o, &err), PL_OK);
	o.challenges[0].approved = false;
	o.challenges[0].method = PL_DCV_DNS;
	assert_int_equal(pl_life_downgraded(&o, &err), PL_OK);
	o.challenges[0].method = -1;
	assert_int_equal(pl_life_downgraded(&o, &err), PL_OK);
	pl_order_clear(&o);
}

static void
test_reissued(void **state PL_UNUSED)
{
	json_t *j = parsed("{\"PartnerOrderID\":\"1\",\"OrderStatus\":"
	    "{\"MajorStatus\":\"Active\",\"MinorStatus\":\"ISSUED\"}}");

	assert_false(pl_life_reissued("1", j));
	assert_true(pl_life_reissued("2", j));
	pl_json_sets(pl_json_get(j, "OrderStatus"), "MinorStatus",
	    "PENDING_REISSUE");
	assert_true(pl_life_reissued("1", j));
	pl_json_free(j);
}

/* ---- what is carried over, what is told about contacts ---------------------------- */

static void
test_carry(void **state PL_UNUSED)
{
	json_t *status = parsed("{\"AdminContact\":{\"Email\":\"a@b.example\","
	    "\"Fax\":\"\",\"Country\":\"United Kingdom\"},\"Organization\":"
	    "\"Firm\",\"Locality\":\"Leeds\",\"Country\":\"Germany\","
	    "\"TSSOrganizationId\":0}");
	json_t *extra = parsed("{\"OrganizationInfo\":{\"DUNS\":\"1\"}}");
	json_t *j = pl_life_carry(status, NULL, extra);
	char *text = pl_json_text(j);

	assert_non_null(strstr(text, "\"Country\":\"GB\""));
	assert_non_null(strstr(text, "\"Country\":\"DE\""));
	assert_non_null(strstr(text, "\"DUNS\":\"1\""));
	assert_non_null(strstr(text, "\"LocalityName\":\"Leeds\""));
	assert_null(strstr(text, "Fax"));
	free(text);
	pl_json_free(j);
	pl_json_seti(status, "TSSOrganizationId", 4711);
	j = pl_life_carry(status, NULL, NULL);
	assert_null(pl_json_get(j, "OrganizationInfo"));
	assert_int_equal(pl_json_num(pl_json_get(j, "TSSOrganizationId")),
	    4711);
	pl_json_free(j);
	pl_json_free(status);
	pl_json_free(extra);
}

static void
test_marks(void **state PL_UNUSED)
{
	char a[37], b[37], u[17];
	struct pl_err err;

	pl_life_custom_id(a);
	pl_life_custom_id(b);
	assert_string_not_equal(a, b);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(a[14], '4');
	pl_life_unique(u);
	assert_int_equal(pl_unique_check(u, &err), PL_OK);
}

/* Final dots and capitals do not make another name. */
static void
test_dots(void **state PL_UNUSED)
{
	json_t *j = parsed("{\"TheSSLStoreOrderID\":1,\"CommonName\":"
	    "\"WWW.example.com.\",\"DNSNames\":\"Example.org.,..\","
	    "\"OrderStatus\":{\"MajorStatus\":\"Pending\","
	    "\"DomainAuthVettingStatus\":[{\"domain\":\"Example.org.\","
	    "\"dcvMethod\":\"DNS_CNAME_TOKEN\",\"DNSName\":\"_dnsauth\","
	    "\"DNSEntry\":\"k3v9.dcv.digicert.com.\"},{\"domain\":\"..\"}"
	    "]}}");
	struct pl_order o = { .id = 1 };
	struct pl_job job;
	struct pl_err err;
	bool moved;

	assert_int_equal(pl_life_apply(&o, j, &moved, &err), PL_OK);
	assert_int_equal(o.nnames, 2);
	assert_string_equal(o.names[0].name, "www.example.com");
	assert_string_equal(o.names[1].name, "example.org");
	assert_string_equal(o.challenges[0].domain, "example.org");
	assert_string_equal(o.challenges[1].domain, "www.example.com");
	assert_int_equal(pl_life_job(&job, &o, &err), PL_OK);
	assert_string_equal(job.challenges[0].record, "_dnsauth.example.org");
	pl_job_clear(&job);
	pl_order_clear(&o);
	pl_json_free(j);
}

/* May an element of a list stand for a status? */
static void
test_whole(void **state PL_UNUSED)
{
#define ELEMENT(code, major, more) "{\"ProductCode\":" code ",\"OrderStatus" \
	"\":{\"MajorStatus\":\"" major "\"" more "}"
#define DATES ",\"CertificateEndDate\":\"2030-01-01\"}"
	static const struct {
		const char *text;
		bool whole;
	} rows[] = {
		{ ELEMENT("\"x\"", "Active", "") ",\"SerialNumber\":\"0A\""
		    DATES, true },
		{ ELEMENT("\"x\"", "Active", "") DATES, false },
		{ ELEMENT("\"x\"", "Active", "") ",\"SerialNumber\":\"\""
		    DATES, false },
		{ ELEMENT("\"x\"", "Active", "") ",\"SerialNumber\":\"1\"}",
		    false },
		{ ELEMENT("null", "Cancelled", "") "}", false },
		{ ELEMENT("\"x\"", "Cancelled", "") "}", true },
		{ ELEMENT("\"x\"", "Pending", "") "}", false },
		{ ELEMENT("\"x\"", "Pending", ",\"DomainAuthVettingStatus\""
		    ":[]") "}", true },
		{ "{}", false },
	};

	for (size_t i = 0; i < PL_NELEM(rows); i++) {
		json_t *j = parsed(rows[i].text);

		if (pl_life_whole(j) != rows[i].whole)
			fail_msg("%s", rows[i].text);
		pl_json_free(j);
	}
}

static void
test_serials(void **state PL_UNUSED)
{
	assert_true(pl_life_same_serial("00A1:b2", "a1B2"));
	assert_true(pl_life_same_serial("0", "00"));
	assert_false(pl_life_same_serial("A1B2", "A1B20"));
	assert_false(pl_life_same_serial("A1B2", "A1B3"));
	assert_false(pl_life_same_serial("", "1"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_placing),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_countries),
		cmocka_unit_test(test_vetting),
		cmocka_unit_test(test_digicert),
		cmocka_unit_test(test_main_only),
		cmocka_unit_test(test_pair_and_vetting),
		cmocka_unit_test(test_job),
		cmocka_unit_test(test_apply),
		cmocka_unit_test(test_downgrade),
		cmocka_unit_test(test_reissued),
		cmocka_unit_test(test_carry),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_dots),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_serials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
