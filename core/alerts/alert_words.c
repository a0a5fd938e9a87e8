/* SPDX-License-Identifier: MIT
 *
 * What is said of an alert: its facts (the row's columns, or the sample's labels, as people read them), and from them
 * its summary and description. All of it is valid UTF-8, bounded, without control characters but `\n` in a description,
 * for texts of strangers pass text_visible() on their way in. Numbers of persons come masked, if at all.
 */
#include "engine_private.h"
#include "template.h"
#include "text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUMMARY_MAX = 512 };

struct words {
	const struct alert *alert;
	const struct cw_column *columns; /* NULL: of a sample */
	const struct cw_cell *cells;
	uint32_t count;
	const struct cw_metric *metric;
	const char *const *labels;
	char text[ALERT_FACT_SIZE]; /* of the last look */
};

static bool give_text(const char *text, struct template_value *ret_value)
{
	ret_value->text = text;
	return text != NULL;
}

static bool give_number(double number, bool is_time, struct template_value *ret_value)
{
	*ret_value = (struct template_value){.number = number, .is_time = is_time};
	return isfinite(number);
}

static bool give_cell(struct words *words, const struct cw_column *column, const struct cw_cell *cell,
		      struct template_value *ret_value)
{
	if (cell->type == CW_CELL_REAL)
		return give_number(cell->real, /* is_time */ false, ret_value);
	if (cell->type == CW_CELL_INTEGER && (column->type == CW_TIME || column->type == CW_SINCE))
		return give_number((double)cell->integer / 1e9, /* is_time */ true, ret_value);
	if (cell->type == CW_CELL_INTEGER && column->type == CW_INT)
		return give_number((double)cell->integer, /* is_time */ false, ret_value);
	return alert_fact_text(column, cell, words->text) && give_text(words->text, ret_value);
}

static bool look(void *arg, const char *name, struct template_value *ret_value)
{
	struct words *words = arg;
	const struct alert *alert = words->alert;
	*ret_value = (struct template_value){0};
	for (uint32_t i = 0; words->columns && i < words->count; i++)
		if (strcmp(words->columns[i].name, name) == 0)
			return give_cell(words, &words->columns[i], &words->cells[i], ret_value);
	for (uint32_t i = 0; words->metric && i < cw_label_count(words->metric); i++)
		if (strcmp(words->metric->labels[i].name, name) == 0) {
			text_visible(words->text, sizeof words->text, words->labels[i], strlen(words->labels[i]));
			return give_text(words->text, ret_value);
		}
	if (strcmp(name, "value") == 0)
		return give_number(alert->value, /* is_time */ false, ret_value);
	if (strcmp(name, "alert") == 0)
		return give_text(alert->rule_name, ret_value);
	if (strcmp(name, "subject") == 0) {
		text_visible(words->text, sizeof words->text, alert->subject, strlen(alert->subject));
		return give_text(words->text, ret_value);
	}
	return give_text(alert_text(alert, name), ret_value);
}

static uint32_t row_facts(const struct words *words, struct cw_fact *facts, char (*texts)[ALERT_FACT_SIZE])
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < words->count && n < ALERT_FACTS_MAX; i++)
		if (strcmp(words->columns[i].name, "instance") != 0 &&
		    alert_fact_text(&words->columns[i], &words->cells[i], texts[n])) {
			facts[n] = (struct cw_fact){words->columns[i].name, texts[n]};
			n++;
		}
	return n;
}

static uint32_t sample_facts(const struct words *words, struct cw_fact *facts, char (*texts)[ALERT_FACT_SIZE])
{
	uint32_t n = 0;
	for (; words->metric && n < cw_label_count(words->metric); n++) {
		text_visible(texts[n], ALERT_FACT_SIZE, words->labels[n], strlen(words->labels[n]));
		facts[n] = (struct cw_fact){words->metric->labels[n].name, texts[n]};
	}
	return n;
}

static void make(struct alert *alert, struct words *words)
{
	struct cw_fact facts[ALERT_FACTS_MAX];
	char texts[ALERT_FACTS_MAX][ALERT_FACT_SIZE], summary[SUMMARY_MAX], description[TEMPLATE_TEXT_MAX] = "";
	const struct rule *rule = alert->rule;
	uint32_t n = words->columns ? row_facts(words, facts, texts) : sample_facts(words, facts, texts);
	if (rule->summary)
		template_render(rule->summary, look, words, summary, sizeof summary);
	else
		text_visible(summary, sizeof summary, alert->subject, strlen(alert->subject));
	if (rule->description)
		template_render(rule->description, look, words, description, sizeof description);
	alert_set_words(alert, summary, rule->description ? description : NULL, facts, n);
}

void words_of_row(struct alert *alert, const struct cw_column *columns, const struct cw_cell *cells, uint32_t count)
{
	make(alert, &(struct words){.alert = alert, .columns = columns, .cells = cells, .count = count});
}

void words_of_sample(struct alert *alert, const struct cw_metric *metric, const char *const *labels)
{
	make(alert, &(struct words){.alert = alert, .metric = metric, .labels = labels});
}
