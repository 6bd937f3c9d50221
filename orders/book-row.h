/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private to the files book*.c. */
#ifndef PL_BOOK_ROW_H
#define PL_BOOK_ROW_H

#include "book.h"

struct pl_book {
	struct pl_db *db;
	int lock;
};

/* Steps of the book's schema that stand with their tables. */
extern const char pl_book_renew_schema[];	/* book-renew.c */

#endif
