/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* Private to book.c and book-read.c. */
#ifndef PL_BOOK_ROW_H
#define PL_BOOK_ROW_H

#include "book.h"

struct pl_book {
	struct pl_db *db;
	int lock;
	unsigned depth;
};

#endif
