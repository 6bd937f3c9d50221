/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "wire.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#define JSON_DEPTH 32

/* jansson says NULL for want of memory: the same end as in base/mem.c. */
static void
json_sure(bool done)
{
	static const char text[] = "placard: out of memory\n";

	if (done)
		return;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		abort();
	abort();
}

static json_t *
json_made(json_t *j)
{
	json_sure(j != NULL);
	return j;
}

/* jansson asks for a json_t that it may change only to iterate over it. */
static json_t *
json_loose(const json_t *j)
{
	return (json_t *)(uintptr_t)j;
}

/* ---- reading ----------------------------------------------------------- */

/* Where the text is nested too deep, or NULL. */
static const char *
json_too_deep(const char *text, size_t n)
{
	const char *p, *end = text + n;
	unsigned depth = 0;
	bool quoted = false;

	for (p = text; p < end; p++) {
		if (quoted) {
			if (*p == '\\' && p + 1 < end)
				p++;
			else if (*p == '"')
				quoted = false;
		} else if (*p == '"') {
			quoted = true;
		} else if (*p == '{' || *p == '[') {
			if (++depth > JSON_DEPTH)
				return p;
		} else if ((*p == '}' || *p == ']') && depth > 0) {
			depth--;
		}
	}
	return NULL;
}

/* Line and column, both from 1 and in characters, of a place in the text. */
static void
json_place(const char *text, const char *at, unsigned *line, unsigned *column)
{
	const char *p;

	*column = 1;
	for (p = text; p < at; p++) {
		if (*p == '\n') {
			(*line)++;
			*column = 1;
		} else if (((unsigned char)*p & 0xc0) != 0x80) {
			(*column)++;
		}
	}
}

/*
 * The key that ends before octet `pos` of the text, without its quotes;
 * jansson itself names short ones only.
 */
static const char *
json_key_before(const char *text, size_t n, int pos, int *len)
{
	size_t end, start, back;

	*len = 0;
	if (pos < 2 || (size_t)pos > n || text[pos - 1] != '"')
		return NULL;
	end = (size_t)pos - 1;
	for (start = end; start > 0; start--) {
		if (text[start - 1] != '"')
			continue;
		for (back = 0; back < start - 1 &&
		    text[start - 2 - back] == '\\'; back++)
			;
		if (back % 2 == 0)
			break;
	}
	*len = end - start > 64 ? 64 : (int)(end - start);
	while (*len > 0 && *len == 64 &&
	    ((unsigned char)text[start + (size_t)*len] & 0xc0) == 0x80)
		(*len)--;
	return text + start;
}

/* Behind the string that begins at p, or the end of the text. */
static const char *
json_string_end(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\' && p + 1 < end)
			p++;
	return p < end ? p + 1 : end;
}

/*
 * The key that stands last before octet `pos`, with its quotes: the member
 * that the fault is in.
 */
static const char *
json_key_of(const char *text, size_t n, int pos, int *len)
{
	const char *p = text, *end = text + n, *stop, *key = NULL, *from;

	*len = 0;
	stop = text + (pos > 0 && (size_t)pos < n ? (size_t)pos : n);
	while (p < stop) {
		if (*p != '"') {
			p++;
			continue;
		}
		from = p;
		p = json_string_end(p, end);
		n = (size_t)(p - from);
		while (p < end && memchr(" \t\r\n", *p, 4) != NULL)
			p++;
		if (p < end && *p == ':') {
			key = from;
			*len = n > 64 ? 64 : (int)n;
		}
	}
	return key;
}

/*
 * Turns jansson's account into ours.  What stands near the fault is left
 * out: it may be a part of a secret that a peer sent.
 */
static enum pl_code
json_fault(const json_error_t *e, const char *text, size_t n,
    const char *what, unsigned line, struct pl_err *err)
{
	const char *key, *near;
	int len;

	line += e->line > 0 ? (unsigned)e->line - 1 : 0;
	switch (json_error_code(e)) {
	case json_error_out_of_memory:
		json_sure(false);
		break;
	case json_error_duplicate_key:
		key = json_key_before(text, n, e->position, &len);
		if (key == NULL)
			break;
		return pl_fail(err, PL_EINVAL,
		    "%s: line %u, column %d: member \"%.*s\" is there twice",
		    what, line, e->column, len, key);
	case json_error_null_character:
	case json_error_null_byte_in_key:
		key = json_key_of(text, n, e->position, &len);
		return pl_fail(err, PL_EINVAL,
		    "%s: line %u, column %d: NUL in a string%s%.*s", what,
		    line, e->column, key != NULL ? " of member " : "", len,
		    key != NULL ? key : "");
	default:
		break;
	}
	near = strstr(e->text, " near ");
	len = near != NULL ? (int)(near - e->text) : (int)strlen(e->text);
	return pl_fail(err, PL_EINVAL, "%s: line %u, column %d: %.*s", what,
	    line, e->column, len, e->text);
}

enum pl_code
pl_json_parse_at(json_t **out, const char *text, size_t n, const char *what,
    unsigned line, struct pl_err *err)
{
	const char *deep;
	json_error_t e;
	unsigned column;

	*out = NULL;
	deep = json_too_deep(text, n);
	if (deep != NULL) {
		json_place(text, deep, &line, &column);
		return pl_fail(err, PL_EINVAL,
		    "%s: line %u, column %u: nested deeper than %d levels",
		    what, line, column, JSON_DEPTH);
	}
	*out = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
	    &e);
	if (*out == NULL)
		return json_fault(&e, text, n, what, line, err);
	return PL_OK;
}

enum pl_code
pl_json_parse_secret(json_t **out, const struct pl_secret *s,
    const char *what, struct pl_err *err)
{
	enum pl_code rc = pl_json_parse(out, pl_secret_expose(s),
	    pl_secret_len(s), what, NULL);

	return rc == PL_OK ? PL_OK :
	    pl_fail(err, PL_EINVAL, "%s: is not JSON", what);
}

enum pl_code
pl_json_parse(json_t **out, const char *text, size_t n, const char *what,
    struct pl_err *err)
{
	return pl_json_parse_at(out, text, n, what, 1, err);
}

void
pl_json_free(json_t *j)
{
	json_decref(j);
}

/* ---- writing ----------------------------------------------------------- */

char *
pl_json_text(const json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);

	json_sure(text != NULL);
	return text;
}

static int
json_sink(const char *p, size_t n, void *buf)
{
	pl_buf_add(buf, p, n);
	return 0;
}

void
pl_json_dump(struct pl_buf *b, const json_t *j)
{
	json_sure(json_dump_callback(j, json_sink, b,
	    JSON_COMPACT | JSON_ENCODE_ANY) == 0);
}

json_t *
pl_json_object(void)
{
	return json_made(json_object());
}

json_t *
pl_json_array(void)
{
	return json_made(json_array());
}

/* Octets of the UTF-8 character at p, 0 where there is none. */
static size_t
json_utf8(const unsigned char *p, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t c;
	size_t i, len;

	if (p[0] < 0x80)
		return 1;
	len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || len > n)
		return 0;
	c = p[0] & (0xffu >> (len + 1));
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return len;
}

enum pl_code
pl_json_quote_secret(struct pl_buf *b, const struct pl_secret *s,
    struct pl_err *err)
{
	const char *p = pl_secret_expose(s);
	size_t i, n = pl_secret_len(s), len;

	pl_buf_addc(b, '"');
	for (i = 0; i < n; i += len) {
		len = json_utf8((const unsigned char *)p + i, n - i);
		if (len == 0 || (unsigned char)p[i] < ' ' || p[i] == 0x7f)
			return pl_fail(err, PL_EINVAL, "not plain text in "
			    "UTF-8");
		if (p[i] == '"' || p[i] == '\\')
			pl_buf_addc(b, '\\');
		pl_buf_add(b, p + i, len);
	}
	pl_buf_addc(b, '"');
	return PL_OK;
}

/* Appends s with U+FFFD for each octet that is not part of UTF-8. */
static void
json_clean(struct pl_buf *b, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t i, len;

	for (i = 0; i < n; i += len > 0 ? len : 1) {
		len = json_utf8(p + i, n - i);
		if (len > 0)
			pl_buf_add(b, p + i, len);
		else
			pl_buf_adds(b, "\xef\xbf\xbd");
	}
}

json_t *
pl_json_stringn(const char *s, size_t n)
{
	struct pl_buf clean;
	json_t *j = json_stringn(s, n);

	if (j != NULL)
		return j;
	pl_buf_init(&clean, 3 * n + 1);
	json_clean(&clean, s, n);
	j = json_made(json_stringn(clean.data, clean.len));
	pl_buf_clear(&clean);
	return j;
}

json_t *
pl_json_string(const char *s)
{
	return s != NULL ? pl_json_stringn(s, strlen(s)) : pl_json_null();
}

json_t *
pl_json_int(int64_t v)
{
	return json_made(json_integer(v));
}

json_t *
pl_json_bool(bool v)
{
	return json_made(json_boolean(v));
}

json_t *
pl_json_null(void)
{
	return json_null();
}

void
pl_json_set(json_t *object, const char *key, json_t *v)
{
	struct pl_buf clean;

	pl_buf_init(&clean, 3 * strlen(key) + 1);
	json_clean(&clean, key, strlen(key));
	json_sure(json_object_set_new(object, clean.data, v) == 0);
	pl_buf_clear(&clean);
}

void
pl_json_append(json_t *array, json_t *v)
{
	json_sure(json_array_append_new(array, v) == 0);
}

void
pl_json_sets(json_t *object, const char *key, const char *s)
{
	pl_json_set(object, key, pl_json_string(s));
}

void
pl_json_seti(json_t *object, const char *key, int64_t v)
{
	pl_json_set(object, key, pl_json_int(v));
}

void
pl_json_setb(json_t *object, const char *key, bool v)
{
	pl_json_set(object, key, pl_json_bool(v));
}

/* ---- looking ----------------------------------------------------------- */

bool
pl_json_is_object(const json_t *j)
{
	return json_is_object(j);
}

bool
pl_json_is_array(const json_t *j)
{
	return json_is_array(j);
}

bool
pl_json_is_string(const json_t *j)
{
	return json_is_string(j);
}

bool
pl_json_is_int(const json_t *j)
{
	return json_is_integer(j);
}

bool
pl_json_is_bool(const json_t *j)
{
	return json_is_boolean(j);
}

bool
pl_json_is_null(const json_t *j)
{
	return j == NULL || json_is_null(j);
}

size_t
pl_json_count(const json_t *j)
{
	return json_is_object(j) ? json_object_size(j) : json_array_size(j);
}

json_t *
pl_json_get(const json_t *object, const char *key)
{
	return json_object_get(object, key);
}

json_t *
pl_json_at(const json_t *array, size_t i)
{
	return json_array_get(array, i);
}

const char *
pl_json_str(const json_t *j)
{
	return json_string_value(j);
}

size_t
pl_json_strlen(const json_t *j)
{
	return json_string_length(j);
}

int64_t
pl_json_num(const json_t *j)
{
	return json_integer_value(j);
}

bool
pl_json_true(const json_t *j)
{
	return json_is_true(j);
}

void *
pl_json_iter(const json_t *object, void *iter, const char **key,
    json_t **value)
{
	json_t *o = json_loose(object);

	*key = NULL;
	*value = NULL;
	iter = iter == NULL ? json_object_iter(o) :
	    json_object_iter_next(o, iter);
	if (iter == NULL)
		return NULL;
	*key = json_object_iter_key(iter);
	*value = json_object_iter_value(iter);
	return iter;
}

enum pl_code
pl_json_known(const json_t *object, const char *what,
    const char *const *known, struct pl_err *err)
{
	const char *key;
	json_t *value;
	void *iter;
	size_t n;

	for (iter = pl_json_iter(object, NULL, &key, &value); iter != NULL;
	    iter = pl_json_iter(object, iter, &key, &value)) {
		if (pl_str_in(key, known))
			continue;
		for (n = strlen(key) > 64 ? 64 : strlen(key); n > 0 &&
		    ((unsigned char)key[n] & 0xc0) == 0x80; n--)
			;
		return pl_fail(err, PL_EINVAL, "%s%s%.*s: unknown member",
		    what, *what != '\0' ? "." : "", (int)n, key);
	}
	return PL_OK;
}

json_t *
pl_json_share(json_t *j)
{
	return json_incref(j);
}
