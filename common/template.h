/* SPDX-License-Identifier: MIT
 *
 * Templates: `{{ from_phone }} silent for {{ heartbeat_age_seconds | duration }}`, in summaries, descriptions and the
 * bodies of webhooks. For both sides of the contract, as text.h.
 *
 * The grammar is only this: text, and in double braces a name, then any number of `| filter`. `a or b` is the first of
 * them that is known. No logic, no nesting, no variables of the environment. Names are known before anything runs, so a
 * wrong one is an error of the configuration. Filters: `duration` (2m 37s), `number`, `percent`, `bytes`, `time`
 * (local, with offset), `upper`. Written by hand because the engines there are bring a language with loops and
 * includes, which a line in a message must not have.
 *
 * A value is text or a number; one that is not known is rendered as `?`. Output is bounded by the given size, cut at a
 * character's border with an ellipsis.
 */
#ifndef CALLWATCH_COMMON_TEMPLATE_H
#define CALLWATCH_COMMON_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TEMPLATE_ERROR_MAX = 200, TEMPLATE_TEXT_MAX = 4096 };

struct template;

/* 0, or -EINVAL and a sentence: where in the text, what, and the nearest valid word. The text is copied. */
int template_parse(const char *text, struct template **ret_template, char error[TEMPLATE_ERROR_MAX]);
void template_free(struct template *template); /* NULL is fine */
/* The i-th name in it; NULL: there are no more. For checking against what is declared. */
const char *template_name(const struct template *template, uint32_t i);
/* The first filter of its place, NULL: none. `duration`, `number`, `percent`, `bytes` and `time` want a number. */
const char *template_filter(const struct template *template, uint32_t i);

struct template_value {
	const char *text; /* NULL: it is a number */
	double number;
	bool is_time; /* the number is a wall time in seconds */
};
/* How a name gets its value. False: not known. What it points at lives until it is called again. */
typedef bool (*template_look)(void *arg, const char *name, struct template_value *ret_value);
/* NUL-terminated, never longer than size - 1. Its length. */
size_t template_render(const struct template *template, template_look look, void *arg, char *buffer, size_t size);
/* The template of a JSON text: each value as it may stand between quotes, after its filters. A longer one than
 * TEMPLATE_TEXT_MAX is cut. Half a JSON text is none: if it does not fit, 0 and an empty text. */
size_t template_render_json(const struct template *template, template_look look, void *arg, char *buffer, size_t size);

#endif
