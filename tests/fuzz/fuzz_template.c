/* SPDX-License-Identifier: MIT
 *
 * A template and what stands in its places, both from strangers: what is rendered is never longer than its buffer and,
 * if both were, valid UTF-8; in JSON no value leaves its quotes. The first line is the value, the rest the template;
 * which is also read as a selector.
 */
#include "rule.h"
#include "template.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

struct stranger {
	const char *value;
	double number;
};

static bool look(void *arg, const char *name, struct template_value *ret_value)
{
	const struct stranger *stranger = arg;
	*ret_value = (struct template_value){
		.text = name[0] & 1 ? stranger->value : NULL, .number = stranger->number, .is_time = name[0] & 2};
	return name[0] != 'u';
}

static void render(const struct template *template, const struct stranger *stranger, size_t size, bool is_valid)
{
	char *said = malloc(size); /* of this very size, so that the sanitizer sees one byte too much */
	size_t length = template_render(template, look, (void *)(uintptr_t)stranger, said, size);
	if (length >= size || strlen(said) != length || (is_valid && !text_is_utf8(said, length)))
		abort();
	free(said);
}

/* One quoted text: no quote but the outer two, no control character, valid UTF-8, whatever the value. */
static void render_quoted(const struct template *quoted, const struct stranger *stranger, size_t size)
{
	char *said = malloc(size);
	size_t length = template_render_json(quoted, look, (void *)(uintptr_t)stranger, said, size);
	if (length >= size || strlen(said) != length || !text_is_utf8(said, length))
		abort();
	for (size_t i = 0; i < length; i++) {
		bool is_outer = i == 0 || i + 1 == length;
		if ((unsigned char)said[i] < ' ' || (said[i] == '"') != is_outer)
			abort();
		i += said[i] == '\\';
	}
	free(said);
}

static void read_selector(const char *text)
{
	char error[EXPR_ERROR_MAX], *copy = strdup(text);
	size_t length = selector_length(copy);
	struct selector selector;
	if (length > strlen(copy))
		abort();
	copy[length] = '\0';
	if (selector_parse(copy, &selector, error) == 0)
		for (uint32_t i = 0; i < selector.labels_count; i++)
			if (!selector.labels[i].name[0] || strlen(selector.labels[i].value) > length)
				abort();
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t sizes[] = {1, 2, 3, 4, 5, 16, 17, 64, 5000};
	const uint8_t *end = memchr(data, '\n', size);
	size_t length = end ? (size_t)(end - data) : 0;
	char *value = strndup((const char *)data, length), *text = strndup((const char *)data + length, size - length);
	char error[TEMPLATE_ERROR_MAX];
	struct stranger stranger = {value, (double)size * 1e9 - 1e10};
	struct template *template = NULL;
	memcpy(&stranger.number, data, length < sizeof stranger.number ? length : sizeof stranger.number);
	bool is_valid = text_is_utf8(value, strlen(value)) && text_is_utf8(text, strlen(text));
	if (template_parse(text, &template, error) == 0)
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
			render(template, &stranger, sizes[i], is_valid);
	template_free(template);
	if (template_parse("\"{{ a }}{{ c | upper }}{{ b | number }}\"", &template, error) == 0)
		for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
			render_quoted(template, &stranger, sizes[i]);
	template_free(template);
	read_selector(text);
	free(value);
	free(text);
	return 0;
}
