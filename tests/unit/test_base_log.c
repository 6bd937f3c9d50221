/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "scratch.h"

/* What pl_logf writes for one call; the result is cut at its size. */
static void
logged(char *out, size_t size, struct pl_log log, enum pl_level level,
    const char *event, const char *text)
{
	int fds[2];
	ssize_t n;

	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	log.fd = fds[1];
	pl_logf(&log, level, event, "%s", text);
	n = read(fds[0], out, size - 1);
	out[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	close(fds[1]);
}

static void
one_line(void **state PL_UNUSED)
{
	struct pl_log log = { .level = PL_LOG_INFO };
	char line[200];

	logged(line, sizeof(line), log, PL_LOG_INFO, "publish", "n=3 zone=a");
	assert_string_equal(line, "publish n=3 zone=a\n");
	logged(line, sizeof(line), log, PL_LOG_INFO, "start", "");
	assert_string_equal(line, "start\n");
	log.who = "placard-dns";
	log.syslog = true;
	logged(line, sizeof(line), log, PL_LOG_WARN, "slow", "ms=9");
	assert_string_equal(line, "<4>placard-dns: slow ms=9\n");
	logged(line, sizeof(line), log, PL_LOG_ERROR, "e", "x=1");
	assert_int_equal(strncmp(line, "<3>", 3), 0);
	log.syslog = false;
	log.who = NULL;
	log.stamp = true;
	logged(line, sizeof(line), log, PL_LOG_INFO, "e", "x=1");
	assert_true(line[4] == '-' && line[10] == 'T');
	assert_non_null(strstr(line, "Z e x=1\n"));
}

static void
levels(void **state PL_UNUSED)
{
	struct pl_log log = { .level = PL_LOG_WARN };
	char line[200];

	logged(line, sizeof(line), log, PL_LOG_INFO, "e", "x");
	assert_string_equal(line, "");
	logged(line, sizeof(line), log, PL_LOG_WARN, "e", "x");
	assert_string_equal(line, "e x\n");
	/* Silent, and none at all. */
	log.fd = -1;
	pl_logf(&log, PL_LOG_ERROR, "e", "x=%d", 1);
	pl_logf(NULL, PL_LOG_ERROR, "e", "x=%d", 1);
}

static void
stays_one_line(void **state PL_UNUSED)
{
	struct pl_log log = { .level = PL_LOG_DEBUG };
	char line[200];

	logged(line, sizeof(line), log, PL_LOG_DEBUG, "a\nb",
	    "v=x\r\ny\x1b[31m\xff\t");
	assert_string_equal(line,
	    "a\\x0ab v=x\\x0d\\x0ay\\x1b[31m\\xff\\x09\n");
}

static void
is_cut_at_its_limit(void **state PL_UNUSED)
{
	struct pl_log log = { .level = PL_LOG_DEBUG };
	char line[3 * PL_LIM_LINE], text[2 * PL_LIM_LINE];
	size_t n;

	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	logged(line, sizeof(line), log, PL_LOG_DEBUG, "long", text);
	n = strlen(line);
	assert_true(n > PL_LIM_LINE - 16 && n <= PL_LIM_LINE);
	assert_string_equal(line + n - 5, "\\x0a\n");
	memset(text, 'a', sizeof(text) - 1);
	logged(line, sizeof(line), log, PL_LOG_DEBUG, "long", text);
	n = strlen(line);
	assert_true(n > PL_LIM_LINE - 16 && n <= PL_LIM_LINE);
	assert_ptr_equal(strchr(line, '\n'), line + n - 1);
	logged(line, sizeof(line), log, PL_LOG_DEBUG, text, text);
	assert_true(strlen(line) <= PL_LIM_LINE);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line),
		cmocka_unit_test(levels),
		cmocka_unit_test(stays_one_line),
		cmocka_unit_test(is_cut_at_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
