/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Between conf.c and conf-lex.c only: the words and signs of a
 * configuration file.
 */
#ifndef PL_CONF_LEX_H
#define PL_CONF_LEX_H

#include "wire.h"

enum conf_kind { CONF_END, CONF_WORD, CONF_QUOTED, CONF_OPEN, CONF_CLOSE,
	CONF_LPAREN, CONF_RPAREN, CONF_SET, CONF_ADD, CONF_COMMA,
	CONF_STRAY /* a character that only quotes may hold */ };

struct conf_token {
	enum conf_kind kind;
	unsigned line;
	bool glued;		/* nothing between it and the one before */
	struct pl_buf text;	/* WORD and QUOTED */
};

/* What all files of one configuration share. */
struct conf_run {
	struct pl_faults *faults;
	const struct pl_conf_spec *spec;	/* of the root */
	unsigned files;
};

/* One file being read. */
struct conf_reader {
	struct conf_run *run;
	const char *file;
	bool shared;
	unsigned depth;
	const char *p, *end;
	unsigned line;
	struct conf_token cur, next;
};

/* Starts on a text that outlives the reader; r is otherwise filled. */
void conf_lex_begin(struct conf_reader *r, const char *text, size_t n);
void conf_lex_end(struct conf_reader *r);		/* wipes its words */
void conf_advance(struct conf_reader *r);
/* Gives the current word and goes on. */
char *conf_take(struct conf_reader *r);
bool conf_at_text(const struct conf_token *t);		/* WORD or QUOTED */
bool conf_at_assignment(const struct conf_token *t);	/* = or += */
/* Behind a { that was read: to behind its }. */
void conf_skip_braces(struct conf_reader *r);
/* To what stands on the next line, or to the section's end. */
void conf_skip_line(struct conf_reader *r, unsigned line);

#endif
