/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The words and signs of libconfuse's syntax: bare and quoted words with
 * their escapes and ${NAME:-default}, the signs { } ( ) = += and the comma,
 * comments in three forms.  A character that libconfuse drops in silence
 * outside of quotes (* and a lone +) is kept as CONF_STRAY, to be told.
 */
#include "conf-lex.h"

#include <stdlib.h>
#include <string.h>

static bool
conf_is_word(unsigned char c)
{
	return c > 0x20 && c != 0x7f && strchr("#\"'={}()+,*", c) == NULL;
}

static bool
conf_starts_comment(const char *p)
{
	return *p == '#' || (*p == '/' && (p[1] == '/' || p[1] == '*'));
}

static void
conf_skip_line_end(struct conf_reader *r)
{
	while (r->p < r->end && *r->p != '\n')
		r->p++;
}

static void
conf_skip_block_comment(struct conf_reader *r)
{
	unsigned line = r->line;

	for (r->p += 2; r->p < r->end; r->p++) {
		if (r->p[0] == '*' && r->p[1] == '/') {
			r->p += 2;
			return;
		}
		if (*r->p == '\n')
			r->line++;
	}
	pl_fault(r->run->faults, r->file, line, NULL,
	    "this comment is not closed: */ is missing");
}

static void
conf_skip_blank(struct conf_reader *r)
{
	while (r->p < r->end) {
		if (*r->p == '\n')
			r->line++;
		if (strchr(" \t\r\n", *r->p) != NULL)
			r->p++;
		else if (!conf_starts_comment(r->p))
			return;
		else if (*r->p == '/' && r->p[1] == '*')
			conf_skip_block_comment(r);
		else
			conf_skip_line_end(r);
	}
}

/* ${NAME} and ${NAME:-default}; false: no such thing stands here. */
static bool
conf_lex_env(struct conf_reader *r, struct pl_buf *b)
{
	const char *close, *value;
	char *name, *fallback;

	if (r->p[0] != '$' || r->p[1] != '{')
		return false;
	close = memchr(r->p, '}', (size_t)(r->end - r->p));
	if (close == NULL)
		return false;
	name = pl_strndup(r->p + 2, (size_t)(close - r->p) - 2);
	fallback = strchr(name, ':');
	if (fallback != NULL && fallback[1] == '-')
		*fallback = '\0';
	else
		fallback = NULL;
	value = getenv(name);
	if (value == NULL && fallback != NULL)
		value = fallback + 2;
	if (value != NULL)
		pl_buf_adds(b, value);
	for (; r->p <= close; r->p++)
		if (*r->p == '\n')
			r->line++;
	free(name);
	return true;
}

static unsigned
conf_hex(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	return (unsigned)((c | 0x20) - 'a') + 10;
}

static bool
conf_is_hex(char c)
{
	return c != '\0' && strchr("0123456789abcdefABCDEF", c) != NULL;
}

/* \ooo: up to three octal digits; more, or an 8 or 9, is a fault. */
static unsigned
conf_lex_octal(struct conf_reader *r)
{
	size_t i, n = strspn(r->p, "0123456789");
	unsigned v = 0;

	if (n <= 3 && strspn(r->p, "01234567") == n)
		for (i = 0; i < n; i++)
			v = v * 8 + (unsigned)(r->p[i] - '0');
	r->p += n;
	if (v == 0 || v > 255) {
		pl_fault(r->run->faults, r->file, r->line, NULL,
		    "a backslash with digits means an octal number from \\1 "
		    "to \\377");
		v = '?';
	}
	return v;
}

static unsigned
conf_lex_hex(struct conf_reader *r)
{
	unsigned v = conf_hex(*r->p++);

	if (conf_is_hex(*r->p))
		v = v * 16 + conf_hex(*r->p++);
	if (v == 0) {
		pl_fault(r->run->faults, r->file, r->line, NULL,
		    "a string cannot hold \\x00");
		v = '?';
	}
	return v;
}

/* Behind a backslash within "…". */
static void
conf_lex_escape(struct conf_reader *r, struct pl_buf *b)
{
	static const char from[] = "nrbfaetv", to[] = "\n\r\b\f\a\033\t\v";
	const char *found;

	if (*r->p >= '0' && *r->p <= '9') {
		pl_buf_addc(b, (char)conf_lex_octal(r));
	} else if (*r->p == 'x' && conf_is_hex(r->p[1])) {
		r->p++;
		pl_buf_addc(b, (char)conf_lex_hex(r));
	} else if (*r->p == '\n') {
		r->line++;
		r->p++;
	} else {
		found = strchr(from, *r->p);
		pl_buf_addc(b, found != NULL ? to[found - from] : *r->p);
		r->p++;
	}
}

/* Behind a backslash within '…': only \\ and \' are special. */
static void
conf_lex_plain_escape(struct conf_reader *r, struct pl_buf *b)
{
	if (*r->p == '\n') {
		r->line++;
		r->p++;
		return;
	}
	if (*r->p != '\\' && *r->p != '\'')
		pl_buf_addc(b, '\\');
	pl_buf_addc(b, *r->p++);
}

/* Up to the closing quote, or the end of the file. */
static void
conf_lex_inside(struct conf_reader *r, struct pl_buf *b, char quote)
{
	while (r->p < r->end && *r->p != quote) {
		if (*r->p == '\\' && r->p + 1 < r->end) {
			r->p++;
			if (quote == '"')
				conf_lex_escape(r, b);
			else
				conf_lex_plain_escape(r, b);
		} else if (quote != '"' || !conf_lex_env(r, b)) {
			if (*r->p == '\n')
				r->line++;
			pl_buf_addc(b, *r->p++);
		}
	}
}

/* At the closing quote: is it likely to be this string's own? */
static bool
conf_closes_well(const struct conf_reader *r, unsigned line)
{
	char after = r->p[1];

	if (r->line == line)
		return true;
	return after != '"' && after != '\'' &&
	    (!conf_is_word((unsigned char)after) ||
	    conf_starts_comment(r->p + 1));
}

/*
 * "…" or '…'.  A string may run over lines; but one whose closing quote
 * touches the next word has most likely lost its own, and is taken to end
 * with its first line, so that reading can go on there.
 */
static void
conf_lex_quoted(struct conf_reader *r, struct conf_token *t)
{
	const char *start = r->p++;
	size_t n;

	t->kind = CONF_QUOTED;
	conf_lex_inside(r, &t->text, *start);
	if (r->p < r->end && conf_closes_well(r, t->line)) {
		r->p++;
		return;
	}
	pl_fault(r->run->faults, r->file, t->line, NULL,
	    "this string is not closed: %c is missing", *start);
	n = strcspn(start + 1, "\n");
	pl_buf_reset(&t->text);
	pl_buf_add(&t->text, start + 1, n);
	r->p = start + 1 + n;
	r->line = t->line;
}

static void
conf_lex_word(struct conf_reader *r, struct conf_token *t)
{
	const char *start = r->p;

	if (conf_lex_env(r, &t->text)) {
		t->kind = CONF_WORD;
		return;
	}
	while (r->p < r->end && conf_is_word((unsigned char)*r->p))
		r->p++;
	pl_buf_add(&t->text, start, (size_t)(r->p - start));
	t->kind = r->p > start ? CONF_WORD : CONF_STRAY;
	if (t->kind == CONF_STRAY)
		r->p++;
}

static void
conf_lex(struct conf_reader *r, struct conf_token *t)
{
	static const char signs[] = "{}()=,";
	static const enum conf_kind kinds[] = { CONF_OPEN, CONF_CLOSE,
		CONF_LPAREN, CONF_RPAREN, CONF_SET, CONF_COMMA };
	const char *before = r->p, *sign;

	conf_skip_blank(r);
	pl_buf_reset(&t->text);
	t->line = r->line;
	t->glued = r->p == before;
	if (r->p >= r->end) {
		t->kind = CONF_END;
		return;
	}
	sign = strchr(signs, *r->p);
	if (sign != NULL) {
		t->kind = kinds[sign - signs];
		r->p++;
	} else if (r->p[0] == '+' && r->p[1] == '=') {
		t->kind = CONF_ADD;
		r->p += 2;
	} else if (*r->p == '"' || *r->p == '\'') {
		conf_lex_quoted(r, t);
	} else {
		conf_lex_word(r, t);
	}
}

void
conf_advance(struct conf_reader *r)
{
	struct conf_token old = r->cur;

	r->cur = r->next;
	r->next = old;
	conf_lex(r, &r->next);
}

bool
conf_at_text(const struct conf_token *t)
{
	return t->kind == CONF_WORD || t->kind == CONF_QUOTED;
}

bool
conf_at_assignment(const struct conf_token *t)
{
	return t->kind == CONF_SET || t->kind == CONF_ADD;
}

char *
conf_take(struct conf_reader *r)
{
	char *s = pl_strdup(r->cur.text.data);

	conf_advance(r);
	return s;
}

void
conf_skip_braces(struct conf_reader *r)
{
	unsigned open = 1;

	while (open > 0 && r->cur.kind != CONF_END) {
		if (r->cur.kind == CONF_OPEN)
			open++;
		else if (r->cur.kind == CONF_CLOSE)
			open--;
		conf_advance(r);
	}
}

void
conf_skip_line(struct conf_reader *r, unsigned line)
{
	while (r->cur.kind != CONF_END && r->cur.kind != CONF_CLOSE &&
	    r->cur.line == line) {
		bool open = r->cur.kind == CONF_OPEN;

		conf_advance(r);
		if (open)
			conf_skip_braces(r);
	}
}

void
conf_lex_begin(struct conf_reader *r, const char *text, size_t n)
{
	r->p = text;
	r->end = text + n;
	r->line = 1;
	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		r->p += 3;
	pl_buf_init(&r->cur.text, PL_LIM_CONFIG);
	pl_buf_init(&r->next.text, PL_LIM_CONFIG);
	conf_lex(r, &r->cur);
	conf_lex(r, &r->next);
}

void
conf_lex_end(struct conf_reader *r)
{
	pl_buf_clear(&r->cur.text);
	pl_buf_clear(&r->next.text);
}
