/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * XML answers to small trees, through expat.  A document type declaration
 * ends the parse at once, so there are no entities to expand or to fetch.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

#include <expat.h>

#define XML_DEPTH 16
#define XML_ELEMENTS 10000
#define XML_TEXT (64u << 10)

struct build {
	XML_Parser parser;
	struct pl_xml *root;
	struct pl_xml *open[XML_DEPTH];	/* elements not yet closed */
	struct pl_xml *last[XML_DEPTH];	/* the last one inside each */
	struct pl_buf text[XML_DEPTH];
	size_t depth, elements;
	const char *why;		/* why we stopped, or NULL */
};

static void
build_stop(struct build *b, const char *why)
{
	b->why = why;
	(void)XML_StopParser(b->parser, XML_FALSE);
}

static void XMLCALL
on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
	const char *colon = strrchr(name, ':');
	struct build *b = ctx;
	struct pl_xml *e;

	(void)attributes;
	if (b->depth == XML_DEPTH) {
		build_stop(b, "more than 16 elements deep");
		return;
	}
	if (b->elements++ == XML_ELEMENTS) {
		build_stop(b, "more than 10000 elements");
		return;
	}
	e = pl_alloc(sizeof(*e));
	e->name = pl_strdup(colon != NULL ? colon + 1 : name);
	if (b->depth == 0)
		b->root = e;
	else if (b->last[b->depth - 1] == NULL)
		b->open[b->depth - 1]->first = e;
	else
		b->last[b->depth - 1]->next = e;
	if (b->depth > 0)
		b->last[b->depth - 1] = e;
	b->open[b->depth] = e;
	b->last[b->depth] = NULL;
	pl_buf_init(&b->text[b->depth], XML_TEXT);
	b->depth++;
}

static void XMLCALL
on_text(void *ctx, const XML_Char *text, int n)
{
	struct build *b = ctx;

	if (b->depth == 0 || n <= 0)
		return;
	pl_buf_add(&b->text[b->depth - 1], text, (size_t)n);
	if (b->text[b->depth - 1].failed)
		build_stop(b, "more than 64 KiB of text in an element");
}

static void XMLCALL
on_end(void *ctx, const XML_Char *name)
{
	struct build *b = ctx;

	(void)name;
	/* After a stop, expat still closes an empty element. */
	if (b->why != NULL || b->depth == 0)
		return;
	b->depth--;
	b->open[b->depth]->text = pl_buf_take(&b->text[b->depth]);
	pl_buf_clear(&b->text[b->depth]);
}

static void XMLCALL
on_doctype(void *ctx, const XML_Char *name, const XML_Char *sysid,
    const XML_Char *pubid, int internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	build_stop(ctx, "has a document type declaration");
}

enum pl_code
pl_xml_parse(struct pl_xml **out, const char *text, size_t n,
    const char *what, struct pl_err *err)
{
	struct build b = { .depth = 0 };
	enum pl_code code = PL_OK;
	const char *why;

	*out = NULL;
	if (n > INT_MAX)
		return pl_fail(err, PL_EPROTO, "%s: too long", what);
	/* The encoding is ours to say, whatever the document claims. */
	b.parser = XML_ParserCreate("UTF-8");
	if (b.parser == NULL)
		abort();
	XML_SetUserData(b.parser, &b);
	XML_SetElementHandler(b.parser, on_start, on_end);
	XML_SetCharacterDataHandler(b.parser, on_text);
	XML_SetStartDoctypeDeclHandler(b.parser, on_doctype);
	if (XML_Parse(b.parser, text, (int)n, 1) != XML_STATUS_OK) {
		if (XML_GetErrorCode(b.parser) == XML_ERROR_NO_MEMORY)
			abort();
		why = b.why != NULL ? b.why :
		    XML_ErrorString(XML_GetErrorCode(b.parser));
		code = pl_fail(err, PL_EPROTO, "%s: XML line %lu: %s", what,
		    (unsigned long)XML_GetCurrentLineNumber(b.parser), why);
		while (b.depth > 0)
			pl_buf_clear(&b.text[--b.depth]);
		pl_xml_free(b.root);
		b.root = NULL;
	}
	XML_ParserFree(b.parser);
	*out = b.root;
	return code;
}

/* As deep as the limit of depth at most. */
void
pl_xml_free(struct pl_xml *root)
{
	struct pl_xml *next;

	for (; root != NULL; root = next) {
		next = root->next;
		pl_xml_free(root->first);
		free(root->name);
		free(root->text);
		free(root);
	}
}

/* The first of these siblings whose name is the n octets. */
static const struct pl_xml *
find_name(const struct pl_xml *e, const char *name, size_t n)
{
	for (; e != NULL; e = e->next)
		if (strncmp(e->name, name, n) == 0 && e->name[n] == '\0')
			return e;
	return NULL;
}

const struct pl_xml *
pl_xml_get(const struct pl_xml *at, const char *path)
{
	size_t n;

	while (at != NULL && *path != '\0') {
		n = strcspn(path, "/");
		at = find_name(at->first, path, n);
		path += n + (path[n] == '/');
	}
	return at;
}

const char *
pl_xml_text(const struct pl_xml *at, const char *path)
{
	at = pl_xml_get(at, path);
	return at != NULL ? at->text : NULL;
}

const struct pl_xml *
pl_xml_next(const struct pl_xml *at)
{
	return at == NULL ? NULL :
	    find_name(at->next, at->name, strlen(at->name));
}

void
pl_xml_escape(struct pl_buf *b, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '&')
			pl_buf_adds(b, "&amp;");
		else if (*s == '<')
			pl_buf_adds(b, "&lt;");
		else if (*s == '>')
			pl_buf_adds(b, "&gt;");
		else if (*s == '"')
			pl_buf_adds(b, "&quot;");
		else
			pl_buf_addc(b, *s);
	}
}
