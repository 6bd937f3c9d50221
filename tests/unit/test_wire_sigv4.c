/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Signatures against the vendor's own vectors and against those of the shape
 * that Route 53 needs.  Both lie in ../shared (or $PLACARD_SHARED); without
 * it only the rules that can be told here are tested.
 */
#include "scratch.h"

#include "wire.h"

#define MOST_HEADERS 16

/* ../shared/specs/aws-sigv4 from the source tree, or skips. */
static void
shared_path(struct pl_buf *path, const char *name)
{
	const char *root = getenv("PLACARD_SHARED"), *src = getenv("srcdir");

	pl_buf_init(path, PL_LIM_LINE);
	if (root != NULL)
		pl_buf_adds(path, root);
	else
		pl_buf_addf(path, "%s/../shared", src != NULL ? src : ".");
	pl_buf_addf(path, "/specs/aws-sigv4/%s", name);
	if (access(path->data, R_OK) == 0)
		return;
	print_message("%s is not there (PLACARD_SHARED says where)\n",
	    path->data);
	pl_buf_clear(path);
	skip();
}

static void
read_text(struct pl_buf *b, const char *dir, const char *name)
{
	struct pl_buf path;
	struct pl_err err;

	pl_buf_init(b, PL_LIM_FILE);
	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, "%s/%s", dir, name);
	if (pl_file_read(b, path.data, &err) != PL_OK)
		fail_msg("%s", err.text);
	pl_buf_clear(&path);
}

/* A request as the vectors write it, taken apart in place. */
struct request {
	struct pl_buf text;
	char *method, *path, *query, *body;
	struct pl_http_header headers[MOST_HEADERS];
	size_t n;
};

static void
request_header(struct request *r, const char *name, const char *value)
{
	assert_true(r->n + 1 < MOST_HEADERS);
	r->headers[r->n].name = name;
	r->headers[r->n].value = value;
	r->headers[++r->n].name = NULL;
}

static void
request_read(struct request *r, const char *dir)
{
	char *line, *end, *colon;

	memset(r, 0, sizeof(*r));
	read_text(&r->text, dir, "request.txt");
	r->method = r->text.data;
	end = strchr(r->method, ' ');
	*end = '\0';
	r->path = end + 1;
	end = strstr(r->path, " HTTP/1.1");
	assert_non_null(end);
	*end = '\0';
	r->query = strchr(r->path, '?');
	if (r->query != NULL)
		*r->query++ = '\0';
	line = end + strlen(" HTTP/1.1") + 1;
	for (; *line != '\0' && *line != '\n'; line = end + 1) {
		end = line + strcspn(line, "\n");
		while (*end == '\n' && (end[1] == ' ' || end[1] == '\t'))
			end += 1 + strcspn(end + 1, "\n");
		colon = strchr(line, ':');
		assert_non_null(colon);
		*colon = '\0';
		request_header(r, line, colon + 1);
		if (*end == '\0') {
			line = end;
			break;
		}
		*end = '\0';
	}
	r->body = *line == '\n' ? line + 1 : line;
}

static void
stamp_of(char out[PL_SIGV4_STAMP], const char *time)
{
	struct pl_err err;
	int64_t ms;

	assert_int_equal(pl_time_parse(&ms, time, &err), PL_OK);
	pl_sigv4_stamp(out, ms / 1000);
}

static void
expect_signature(const struct pl_sigv4 *s, const char *dir, const char *file)
{
	struct pl_buf want;
	char got[65];

	pl_sigv4_sign(s, got, NULL);
	read_text(&want, dir, file);
	if (strncmp(want.data, got, 64) != 0)
		fail_msg("%s/%s: %s instead of %.64s", dir, file, got,
		    want.data);
	pl_buf_clear(&want);
}

struct vector {
	struct request r;
	json_t *context;
	const char *token;		/* to be signed, or NULL */
	char stamp[PL_SIGV4_STAMP];
	struct pl_sigv4 s;
};

static const char *
member(const json_t *j, const char *name)
{
	return pl_json_str(pl_json_get(j, name));
}

static void
vector_read(struct vector *v, const char *dir)
{
	struct pl_buf text;
	struct pl_err err;
	const json_t *keys;
	const char *secret;

	memset(v, 0, sizeof(*v));
	request_read(&v->r, dir);
	read_text(&text, dir, "context.json");
	if (pl_json_parse(&v->context, text.data, text.len, dir, &err) !=
	    PL_OK)
		fail_msg("%s", err.text);
	pl_buf_clear(&text);
	keys = pl_json_get(v->context, "credentials");
	secret = member(keys, "secret_access_key");
	stamp_of(v->stamp, member(v->context, "timestamp"));
	if (!pl_json_true(pl_json_get(v->context, "omit_session_token")))
		v->token = member(keys, "token");
	v->s = (struct pl_sigv4){ .method = v->r.method, .path = v->r.path,
		.query = v->r.query, .headers = v->r.headers,
		.body = v->r.body, .body_len = strlen(v->r.body),
		.stamp = v->stamp, .region = member(v->context, "region"),
		.service = member(v->context, "service"),
		.secret = pl_secret_new(secret, strlen(secret)),
		.normalize = pl_json_true(pl_json_get(v->context,
		"normalize")) };
}

static void
vector_clear(struct vector *v)
{
	struct pl_secret *secret = NULL;

	memcpy(&secret, &v->s.secret, sizeof(secret));
	pl_secret_free(secret);
	pl_json_free(v->context);
	pl_buf_clear(&v->r.text);
}

static void
check_header_form(const char *dir)
{
	struct pl_secret *token = NULL;
	unsigned char hash[32];
	struct pl_buf hex;
	struct vector v;

	vector_read(&v, dir);
	pl_buf_init(&hex, 65);
	request_header(&v.r, "X-Amz-Date", v.stamp);
	if (v.token != NULL) {
		token = pl_secret_new(v.token, strlen(v.token));
		request_header(&v.r, "X-Amz-Security-Token", "");
		v.r.headers[v.r.n - 1].secret = token;
	}
	if (pl_json_true(pl_json_get(v.context, "sign_body"))) {
		pl_sha256(hash, v.s.body, v.s.body_len);
		pl_hex(&hex, hash, sizeof(hash));
		request_header(&v.r, "x-amz-content-sha256", hex.data);
	}
	expect_signature(&v.s, dir, "header-signature.txt");
	pl_buf_clear(&hex);
	pl_secret_free(token);
	vector_clear(&v);
}

/* The same in a query string: its parameters come to the caller's own. */
static void
check_query_form(const char *dir)
{
	struct pl_buf query, names;
	struct vector v;
	char ignored[65];

	vector_read(&v, dir);
	pl_buf_init(&query, PL_LIM_LINE);
	pl_buf_init(&names, PL_LIM_LINE);
	pl_sigv4_sign(&v.s, ignored, &names);
	if (v.r.query != NULL)
		pl_buf_addf(&query, "%s&", v.r.query);
	pl_buf_addf(&query, "X-Amz-Algorithm=AWS4-HMAC-SHA256"
	    "&X-Amz-Credential=%s%%2F%.8s%%2F%s%%2F%s%%2Faws4_request"
	    "&X-Amz-Date=%s&X-Amz-Expires=%d&X-Amz-SignedHeaders=%s",
	    member(pl_json_get(v.context, "credentials"), "access_key_id"),
	    v.stamp, v.s.region, v.s.service, v.stamp, (int)pl_json_num(
	    pl_json_get(v.context, "expiration_in_seconds")), names.data);
	if (v.token != NULL)
		pl_buf_addf(&query, "&X-Amz-Security-Token=%s", v.token);
	v.s.query = query.data;
	expect_signature(&v.s, dir, "query-signature.txt");
	pl_buf_clear(&query);
	pl_buf_clear(&names);
	vector_clear(&v);
}

static void
vendor_vectors(void **state PL_UNUSED)
{
	struct pl_buf base, dir;
	struct dirent *e;
	size_t n = 0;
	DIR *d;

	shared_path(&base, "");
	pl_buf_init(&dir, PL_LIM_LINE);
	d = opendir(base.data);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		pl_buf_reset(&dir);
		pl_buf_addf(&dir, "%s%s/context.json", base.data, e->d_name);
		if (access(dir.data, R_OK) != 0)
			continue;
		pl_buf_reset(&dir);
		pl_buf_addf(&dir, "%s%s", base.data, e->d_name);
		check_header_form(dir.data);
		check_query_form(dir.data);
		n++;
	}
	closedir(d);
	assert_int_equal(n, 38);
	pl_buf_clear(&dir);
	pl_buf_clear(&base);
}

static void
check_route53(const json_t *all, const json_t *one)
{
	struct pl_http_header headers[MOST_HEADERS] = { { NULL, NULL, NULL } };
	const json_t *list = pl_json_get(one, "query"), *pair;
	const char *key, *secret = member(all, "secret_access_key");
	struct pl_secret *s = pl_secret_new(secret, strlen(secret));
	struct pl_buf query, got;
	json_t *value;
	void *iter = NULL;
	size_t i, n = 0;

	pl_buf_init(&query, PL_LIM_LINE);
	pl_buf_init(&got, PL_LIM_LINE);
	for (i = 0; i < pl_json_count(list); i++) {
		pair = pl_json_at(list, i);
		/* As little is escaped as a query can do with. */
		pl_buf_addf(&query, "%s%s=%s", i > 0 ? "&" : "",
		    pl_json_str(pl_json_at(pair, 0)),
		    pl_json_str(pl_json_at(pair, 1)));
	}
	while ((iter = pl_json_iter(pl_json_get(one, "headers"), iter, &key,
	    &value)) != NULL) {
		assert_true(n + 1 < MOST_HEADERS);
		headers[n].name = key;
		headers[n++].value = pl_json_str(value);
	}
	pl_sigv4_header(&got, &(struct pl_sigv4){
	    .method = member(one, "method"), .path = member(one, "path"),
	    .query = query.data, .headers = headers,
	    .body = member(one, "body"), .body_len = strlen(member(one,
	    "body")), .stamp = member(all, "timestamp"),
	    .region = member(all, "region"),
	    .service = member(all, "service"), .secret = s,
	    .normalize = true }, member(all, "access_key_id"));
	assert_string_equal(got.data, member(one, "authorization"));
	pl_buf_clear(&query);
	pl_buf_clear(&got);
	pl_secret_free(s);
}

static void
route53_vectors(void **state PL_UNUSED)
{
	const json_t *cases;
	struct pl_buf path, text;
	struct pl_err err;
	json_t *all;
	size_t i;

	shared_path(&path, "route53-vectors.json");
	pl_buf_init(&text, PL_LIM_FILE);
	assert_int_equal(pl_file_read(&text, path.data, &err), PL_OK);
	assert_int_equal(pl_json_parse(&all, text.data, text.len, "vectors",
	    &err), PL_OK);
	cases = pl_json_get(all, "cases");
	assert_int_equal(pl_json_count(cases), 6);
	for (i = 0; i < pl_json_count(cases); i++)
		check_route53(all, pl_json_at(cases, i));
	pl_json_free(all);
	pl_buf_clear(&text);
	pl_buf_clear(&path);
}

static void
signature_of(char out[65], const char *path, const char *query,
    const char *value)
{
	struct pl_secret *secret = pl_secret_new("k", 1);
	struct pl_http_header headers[] = { { "host", "h", NULL },
		{ "x", value, NULL }, { NULL, NULL, NULL } };

	pl_sigv4_sign(&(struct pl_sigv4){ .method = "GET", .path = path,
	    .query = query, .headers = headers,
	    .stamp = "20150830T123600Z", .region = "r", .service = "s",
	    .secret = secret, .normalize = true }, out, NULL);
	pl_secret_free(secret);
}

/* Two ways to say the same have one signature; two things have two. */
static void
forms_of_the_same(void **state PL_UNUSED)
{
	static const struct {
		const char *path[2], *query[2], *value[2];
		bool same;
	} cases[] = {
		{ { "/a/../b", "/b" }, { "", "" }, { "v", "v" }, true },
		{ { "/a//b/.", "/a/b/" }, { "", "" }, { "v", "v" }, true },
		{ { "/../../b", "/b" }, { "", "" }, { "v", "v" }, true },
		{ { "/b/", "/b" }, { "", "" }, { "v", "v" }, false },
		{ { "/", "/" }, { "a=1&b=2", "b=2&a=1" }, { "v", "v" }, true },
		{ { "/", "/" }, { "a=*", "a=%2A" }, { "v", "v" }, true },
		{ { "/", "/" }, { "a=%2a", "a=%2A" }, { "v", "v" }, true },
		{ { "/", "/" }, { "a=%7E", "a=~" }, { "v", "v" }, true },
		{ { "/", "/" }, { "a", "a=" }, { "v", "v" }, true },
		{ { "/", "/" }, { "", NULL }, { "v", "v" }, true },
		{ { "/", "/" }, { "&a=1&&", "a=1" }, { "v", "v" }, true },
		{ { "/", "/" }, { "a=%", "a=%25" }, { "v", "v" }, true },
		{ { "/", "/" }, { "a=+", "a=%20" }, { "v", "v" }, false },
		{ { "/", "/" }, { "a=1&a=2", "a=2&a=1" }, { "v", "v" }, true },
		{ { "/", "/" }, { "", "" }, { " v  w\t", "v w" }, true },
		{ { "/", "/" }, { "", "" }, { "v w", "v W" }, false },
	};
	char a[65], b[65];
	size_t i;

	for (i = 0; i < PL_NELEM(cases); i++) {
		signature_of(a, cases[i].path[0], cases[i].query[0],
		    cases[i].value[0]);
		signature_of(b, cases[i].path[1], cases[i].query[1],
		    cases[i].value[1]);
		if ((strcmp(a, b) == 0) != cases[i].same)
			fail_msg("case %zu", i);
	}
}

static void
stamps(void **state PL_UNUSED)
{
	char out[PL_SIGV4_STAMP];

	pl_sigv4_stamp(out, 1440938160);
	assert_string_equal(out, "20150830T123600Z");
	pl_sigv4_stamp(out, 0);
	assert_string_equal(out, "19700101T000000Z");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vendor_vectors),
		cmocka_unit_test(route53_vectors),
		cmocka_unit_test(forms_of_the_same),
		cmocka_unit_test(stamps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
