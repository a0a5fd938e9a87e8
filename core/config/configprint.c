/* SPDX-License-Identifier: MIT
 *
 * `callwatch config show`: the merged configuration as YAML that reads back as the same, each key with the place it
 * comes from. What is secret is ***, by the plugins' tables and, for what no table knows, by the look of it: a key that
 * ends like one, a password inside a URL.
 */
#include "config.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

struct printer {
	FILE *out;
	bool (*is_secret)(const struct config_entry *entry, const char *key);
	const struct config_entry *entry; /* NULL: not in a plugin */
};

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);
	return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_secret(const struct printer *printer, const char *key)
{
	static const char *const ends[] = {"password", "secret", "token", "_key", "passphrase"};
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends_with(key, ends[i]))
			return true;
	return printer->is_secret && printer->is_secret(printer->entry, key);
}

/* Reads back as itself without quotes. */
static bool is_plain_word(const char *text)
{
	static const char words[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:%+@-";
	size_t length = strlen(text);
	return length > 0 && strspn(text, words) == length && !strchr(":%+@-.", text[0]) && text[length - 1] != ':';
}

static void print_quoted(FILE *out, const char *text)
{
	size_t length = strlen(text), room = text_json_room(length);
	char *json = malloc(room);
	if (json) {
		text_json(json, room, text, length);
		fputs(json, out);
	}
	free(json);
}

/* Where the password in scheme://user:password@host begins and ends; false: none. */
static bool find_password(const char *url, size_t *ret_begin, size_t *ret_end)
{
	const char *host = strstr(url, "://");
	if (!host)
		return false;
	host += 3;
	size_t authority = strcspn(host, "/?# ");
	const char *at = memrchr(host, '@', authority), *colon = at ? memchr(host, ':', (size_t)(at - host)) : NULL;
	if (!colon)
		return false;
	*ret_begin = (size_t)(colon + 1 - url);
	*ret_end = (size_t)(at - url);
	return true;
}

char *config_without_password(const char *text)
{
	size_t begin, end;
	char *masked = NULL;
	if (!find_password(text, &begin, &end))
		return strdup(text);
	return asprintf(&masked, "%.*s***%s", (int)begin, text, text + end) < 0 ? NULL : masked;
}

static void print_scalar(const struct printer *printer, const struct node *node, bool secret)
{
	size_t begin, end;
	if (secret) {
		fputs("\"***\"", printer->out);
	} else if (find_password(node->text, &begin, &end)) {
		char *masked = config_without_password(node->text);
		print_quoted(printer->out, masked ? masked : "***");
		free(masked);
	} else if (node_is_null(node)) {
		fputs("null", printer->out);
	} else if (node->plain && is_plain_word(node->text)) {
		fputs(node->text, printer->out);
	} else {
		print_quoted(printer->out, node->text);
	}
}

static void print_place(const struct printer *printer, const struct place *place)
{
	char file[512];
	text_visible(file, sizeof(file), place->file, strlen(place->file));
	fprintf(printer->out, "  # %s:%u\n", file, place->line);
}

static void print_children(const struct printer *printer, const struct node *node, int indent, bool secret);

static void print_value(const struct printer *printer, const struct node *node, const struct place *place, int indent,
			bool secret)
{
	if (node->kind == NODE_SCALAR) {
		fputc(' ', printer->out);
		print_scalar(printer, node, secret);
		print_place(printer, place);
	} else if (node->count == 0) {
		fputs(node->kind == NODE_LIST ? " []" : " {}", printer->out);
		print_place(printer, place);
	} else {
		print_place(printer, place);
		print_children(printer, node, indent + 2, secret);
	}
}

static void print_children(const struct printer *printer, const struct node *node, int indent, bool secret)
{
	for (uint32_t i = 0; i < node->count; i++) {
		const struct node *child = node->children[i];
		fprintf(printer->out, "%*s", indent, "");
		if (node->kind == NODE_LIST) {
			fputc('-', printer->out);
			print_value(printer, child, &child->place, indent, secret);
			continue;
		}
		if (is_plain_word(child->key))
			fputs(child->key, printer->out);
		else
			print_quoted(printer->out, child->key);
		fputc(':', printer->out);
		print_value(printer, child, &child->key_place, indent, secret || is_secret(printer, child->key));
	}
}

static void print_section(const struct printer *printer, const char *name, const struct node *node)
{
	if (!node || node->count == 0)
		return;
	fprintf(printer->out, "%s:\n", name);
	print_children(printer, node, 2, /* secret */ false);
}

void config_print(const struct config *config, FILE *out,
		  bool (*is_secret_key)(const struct config_entry *entry, const char *key))
{
	struct printer printer = {.out = out, .is_secret = is_secret_key};
	print_section(&printer, "agent", config->agent);
	print_section(&printer, "connections", config->connections);
	if (config->count > 0)
		fputs("plugins:\n", out);
	for (size_t i = 0; i < config->count; i++) {
		printer.entry = &config->entries[i];
		fputs("  -", out);
		print_place(&printer, &config->entries[i].node->place);
		print_children(&printer, config->entries[i].node, 4, /* secret */ false);
	}
	printer.entry = NULL;
	print_section(&printer, "notify", config->notify);
	print_section(&printer, "rules", config->rules);
}
