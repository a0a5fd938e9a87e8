/* SPDX-License-Identifier: MIT
 *
 * Examinations, both sides: a fake source as the patient, a fake frontend that asks. What needs ten real seconds (a
 * patient whose loop does not come round) is tests/system/test_doctor.py.
 */
#include "instance_world.h"

#include "callwatch/frontend.h"
#include "examine.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <uv.h>

/* ---- the world around an instance ---- */

static int make_world(void **state)
{
	(void)state;
	return open_world(/* interval */ 3600 * CW_SECOND);
}

static int end_world(void **state)
{
	(void)state;
	return close_world();
}

/* ---- the patient: a source with three checks ---- */

struct patient {
	enum cw_verdict verdicts[3];
	bool later, by_test, twice; /* answers from the loop; when the test says so; more often than it was asked */
	bool says_down, blocks;
	int fail_starts;
	/* several threads look */
	_Atomic int examined, reads;
	_Atomic bool answer, fails_reads;
	sem_t go;
	uint32_t check;
	struct cw_instance *self;
	const struct cw_host *host;
	uv_timer_t timer;
};

static struct patient *fake_patient;

static const struct cw_check checks[] = {
	{"first", "The first holds"}, {"second", "The second holds"}, {"third", "The third holds"}};

static void answer(struct patient *patient)
{
	patient->host->examined(patient->self, patient->verdicts[patient->check], "check %u was tried", patient->check);
}

static void on_timer(uv_timer_t *timer)
{
	struct patient *patient = timer->data;
	if (patient->by_test && !atomic_exchange(&patient->answer, false))
		return;
	if (!patient->by_test)
		uv_timer_stop(timer);
	answer(patient);
}

static void patient_examine(void *state, uint32_t check)
{
	struct patient *patient = state;
	patient->check = check;
	atomic_fetch_add(&patient->examined, 1);
	if (patient->later || patient->by_test) {
		uv_timer_start(&patient->timer, on_timer, 1, 1);
		return;
	}
	for (int i = 0; i < (patient->twice ? 3 : 1); i++)
		answer(patient);
}

static int patient_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
			 void **ret_state)
{
	(void)options;
	struct patient *patient = fake_patient;
	patient->self = self;
	patient->host = host;
	if (patient->fail_starts-- > 0)
		return -EIO;
	uv_timer_init(host->loop(self), &patient->timer);
	patient->timer.data = patient;
	*ret_state = patient;
	return 0;
}

static int patient_read(void *state)
{
	struct patient *patient = state;
	if (patient->says_down)
		patient->host->state(patient->self, CW_DOWN, 0, "no server answers");
	atomic_fetch_add(&patient->reads, 1);
	if (patient->blocks)
		sem_wait(&patient->go);
	return atomic_load(&patient->fails_reads) ? -EIO : 0;
}

static void patient_stop(void *state)
{
	uv_close((uv_handle_t *)&((struct patient *)state)->timer, NULL);
}

static const struct plugin patient_plugin = {
	.path = "patient",
	.decl = {CW_PLUGIN_ABI, .name = "patient", .summary = "Patient", .role = CW_SOURCE, .start = patient_start,
		 .read = patient_read, .stop = patient_stop, .checks = CW_ARRAY(checks), .examine = patient_examine},
};

/* ---- the asker: a frontend that asks when the test says so ---- */

enum { FOUND_MAX = 64 };

struct question {
	const char *instance;
	struct {
		char instance[32], check[32], text[EXAMINE_TEXT_MAX];
		enum cw_verdict verdict;
	} found[FOUND_MAX];
	_Atomic int count, done, rc;
	struct question *next;
};

struct asker {
	_Atomic(struct question *) to_ask;
	struct cw_instance *self;
	const struct cw_host *host;
	uv_timer_t timer;
};

static struct asker *fake_asker;

static void on_result(void *arg, const struct cw_examined *examined)
{
	struct question *question = arg;
	int at = atomic_load(&question->count);
	assert_true(at < FOUND_MAX);
	assert_non_null(examined->help);
	snprintf(question->found[at].instance, sizeof question->found[at].instance, "%s", examined->instance);
	snprintf(question->found[at].check, sizeof question->found[at].check, "%s", examined->check);
	snprintf(question->found[at].text, sizeof question->found[at].text, "%s", examined->text);
	question->found[at].verdict = examined->verdict;
	atomic_store(&question->count, at + 1);
}

static void on_done(void *arg)
{
	atomic_fetch_add(&((struct question *)arg)->done, 1);
}

static void on_poll(uv_timer_t *timer)
{
	struct asker *asker = timer->data;
	struct question *question = atomic_exchange(&asker->to_ask, NULL);
	for (struct question *next; question; question = next) {
		next = question->next;
		int rc = asker->host->frontend->doctor(asker->self, question->instance, on_result, on_done, question);
		assert_int_equal(question->count, 0); /* nothing is called from within */
		atomic_store(&question->rc, rc);
	}
}

static int asker_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
		       void **ret_state)
{
	(void)options;
	struct asker *asker = fake_asker;
	asker->self = self;
	asker->host = host;
	uv_timer_init(host->loop(self), &asker->timer);
	asker->timer.data = asker;
	uv_timer_start(&asker->timer, on_poll, 1, 1);
	*ret_state = asker;
	return 0;
}

static void asker_stop(void *state)
{
	uv_close((uv_handle_t *)&((struct asker *)state)->timer, NULL);
}

static const struct plugin asker_plugin = {
	.path = "asker",
	.decl = {CW_PLUGIN_ABI, .name = "asker", .summary = "Asker", .role = CW_FRONTEND, .start = asker_start,
		 .stop = asker_stop},
};

/* ---- an output, to have a queue ---- */

static int sink_start(struct cw_instance *self, const struct cw_host *host, const struct cw_value *options,
		      void **ret_state)
{
	(void)self;
	(void)host;
	(void)options;
	(void)ret_state;
	return 0;
}

static int sink_write(void *state, const struct cw_batch *batch)
{
	(void)state;
	(void)batch;
	return CW_LATER; /* and never again */
}

static const struct plugin sink_plugin = {
	.path = "sink",
	.decl = {CW_PLUGIN_ABI, .name = "sink", .summary = "Sink", .role = CW_OUTPUT, .start = sink_start,
		 .write = sink_write},
};

/* ---- helpers ---- */

struct options {
	struct cw_value children[2], group;
	struct plan_instance what;
};

static struct instance *run(struct options *options, const char *name, const struct plugin *plugin)
{
	struct instance_context context = usual_context();
	context.interval = CW_SECOND / 10;
	*options = (struct options){
		.children = {{.key = "queue", .type = CW_OPTION_INT, .known = true, .integer = 1},
			     {.key = "timeout", .type = CW_OPTION_DURATION, .known = true, .integer = CW_SECOND}}};
	options->group = (struct cw_value){.type = CW_OPTION_GROUP, .children = options->children, .count = 2};
	options->what = planned(name, plugin, &options->group);
	return start_instance(&context, &options->what, /* before */ NULL);
}

static void end(struct instance *instance)
{
	end_instance(instance, /* returns */ false);
}

static void ask(struct question *question, const char *instance)
{
	*question = (struct question){.instance = instance, .rc = 1};
	struct question *before = atomic_load(&fake_asker->to_ask);
	do
		question->next = before;
	while (!atomic_compare_exchange_weak(&fake_asker->to_ask, &before, question));
	WAIT_UNTIL(question->rc <= 0);
}

/* The patient and one who asks, both running. */
struct ward {
	struct patient patient;
	struct asker asker;
	struct options of_patient, of_asker;
	struct instance *patient_instance, *asker_instance;
};

static void open_ward(struct ward *ward)
{
	fake_patient = &ward->patient;
	fake_asker = &ward->asker;
	ward->patient_instance = run(&ward->of_patient, "patient", &patient_plugin);
	ward->asker_instance = run(&ward->of_asker, "asker", &asker_plugin);
	WAIT_UNTIL(instance_first_done(ward->patient_instance) && instance_first_done(ward->asker_instance));
}

static void close_ward(struct ward *ward)
{
	end(ward->patient_instance);
	end(ward->asker_instance);
}

/* `checks verdicts`, the latter as digits. */
static void assert_found(const struct question *question, const char *expected)
{
	char found[512] = "";
	for (int i = 0; i < question->count; i++)
		snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s %d", i ? ", " : "",
			 question->found[i].check, question->found[i].verdict);
	assert_string_equal(found, expected);
}

static void ask_and_hear(struct question *question, const char *instance)
{
	ask(question, instance);
	assert_int_equal(question->rc, 0);
	WAIT_UNTIL(question->done == 1);
}

/* ---- the tests ---- */

static void rungs__come_in_order_whether_answered_at_once_or_later(void **state)
{
	(void)state;
	for (int later = 0; later < 2; later++) {
		struct ward ward = {.patient = {.later = later, .verdicts = {[1] = CW_CHECK_WARNING}}};
		struct question question;
		open_ward(&ward);
		ask_and_hear(&question, "patient");
		assert_found(&question, "loop 0, state 0, readings 0, first 0, second 1, third 0");
		assert_string_equal(question.found[4].text, "check 1 was tried");
		assert_string_equal(question.found[4].instance, "patient");
		close_ward(&ward);
		assert_int_equal(question.done, 1);
	}
}

static void failed_check__those_after_it_are_not_tried(void **state)
{
	(void)state;
	struct ward ward = {.patient = {.verdicts = {[1] = CW_CHECK_FAILED}}};
	struct question question;
	open_ward(&ward);
	ask_and_hear(&question, "patient");
	assert_found(&question, "loop 0, state 0, readings 0, first 0, second 2, third 3");
	assert_int_equal(ward.patient.examined, 2);
	assert_non_null(strstr(question.found[5].text, "not tried"));
	close_ward(&ward);
}

static void down__is_a_symptom_and_the_cause_is_looked_for(void **state)
{
	(void)state;
	struct ward ward = {.patient = {.says_down = true, .verdicts = {CW_CHECK_FAILED}}};
	struct question question;
	open_ward(&ward);
	ask_and_hear(&question, "patient");
	assert_found(&question, "loop 0, state 2, readings 0, first 2, second 3, third 3");
	assert_non_null(strstr(question.found[1].text, "no server answers"));
	close_ward(&ward);
}

/* One is due every tenth of a second, and may take a second. */
static void readings_that_are_overdue__are_a_failed_rung(void **state)
{
	(void)state;
	struct ward ward = {0};
	struct question question;
	open_ward(&ward);
	atomic_store(&ward.patient.fails_reads, true);
	int64_t give_up = clock_now() + 30 * CW_SECOND;
	do {
		ask_and_hear(&question, "patient");
		assert_true(clock_now() < give_up);
	} while (question.found[2].verdict != CW_CHECK_FAILED);
	assert_string_equal(question.found[2].check, "readings");
	assert_non_null(strstr(question.found[2].text, " ago, though one is due every 100ms"));
	close_ward(&ward);
}

static void more_verdicts_than_questions__are_dropped(void **state)
{
	(void)state;
	struct ward ward = {.patient = {.twice = true}};
	struct question question;
	open_ward(&ward);
	ask_and_hear(&question, "patient");
	assert_found(&question, "loop 0, state 0, readings 0, first 0, second 0, third 0");
	assert_int_equal(ward.patient.examined, 3);
	close_ward(&ward);
}

static void unknown_instance__is_said_and_nothing_is_called(void **state)
{
	(void)state;
	struct ward ward = {0};
	struct question question, other;
	open_ward(&ward);
	ask(&question, "nobody");
	assert_int_equal(question.rc, -ENOENT);
	ask_and_hear(&other, "patient");
	assert_int_equal(question.count + question.done, 0);
	close_ward(&ward);
}

static void all__are_examined_one_after_the_other_the_asker_too(void **state)
{
	(void)state;
	struct ward ward = {.patient = {.later = true}};
	struct options of_sink;
	struct question question;
	open_ward(&ward);
	struct instance *sink = run(&of_sink, "sink", &sink_plugin);
	WAIT_UNTIL(instance_first_done(sink));
	ask_and_hear(&question, NULL);
	char order[256] = "";
	for (int i = 0; i < question.count; i++)
		if (i == 0 || strcmp(question.found[i].instance, question.found[i - 1].instance) != 0)
			snprintf(order + strlen(order), sizeof order - strlen(order), "%s ",
				 question.found[i].instance);
	assert_string_equal(order, "patient asker sink ");
	end(sink);
	close_ward(&ward);
}

/* Its queue holds one sample, and it takes none. */
static void output_that_drops__is_a_failed_rung(void **state)
{
	(void)state;
	static const struct cw_metric metric = {.name = "value", .kind = CW_GAUGE, .unit = "", .help = "Value"};
	struct ward ward = {0};
	struct options of_sink;
	open_ward(&ward);
	struct instance *sink = run(&of_sink, "sink", &sink_plugin);
	for (int64_t i = 1; i <= 3; i++) {
		struct batch_builder *builder = batch_builder_new("h", "patient", CW_SECOND, NULL, 0);
		assert_int_equal(batch_add(builder, &metric, NULL, i, CW_INTEGER, 0, i, NULL), 0);
		hub_post_batch(hub, batch_take(builder));
		batch_builder_free(builder);
	}
	struct question question;
	int64_t give_up = clock_now() + 30 * CW_SECOND; /* the hub looks once a second */
	do {
		ask_and_hear(&question, "sink");
		assert_string_equal(question.found[2].check, "queue");
	} while (question.found[2].verdict != CW_CHECK_FAILED && clock_now() < give_up);
	assert_int_equal(question.found[2].verdict, CW_CHECK_FAILED);
	assert_non_null(strstr(question.found[2].text, " dropped"));
	assert_non_null(strstr(question.found[2].text, "nothing has been sent"));
	end(sink);
	close_ward(&ward);
}

static void who_asks_meanwhile__hears_the_same(void **state)
{
	(void)state;
	struct ward ward = {.patient = {.by_test = true}};
	struct question first, second;
	open_ward(&ward);
	ask(&first, "patient");
	WAIT_UNTIL(ward.patient.examined == 1);
	ward.patient.answer = true;
	WAIT_UNTIL(ward.patient.examined == 2);
	ask(&second, "patient");
	WAIT_UNTIL(second.count == 4);
	for (int i = 3; i <= 4; i++) {
		ward.patient.answer = true;
		WAIT_UNTIL(ward.patient.answer == false);
	}
	WAIT_UNTIL(first.done && second.done);
	assert_int_equal(ward.patient.examined, 3);
	assert_found(&first, "loop 0, state 0, readings 0, first 0, second 0, third 0");
	assert_found(&second, "loop 0, state 0, readings 0, first 0, second 0, third 0");
	close_ward(&ward);
}

static void check_without_an_answer__fails_and_its_late_verdict_is_nobodys(void **state)
{
	(void)state;
	struct ward ward = {.patient = {.by_test = true}};
	struct question question;
	open_ward(&ward);
	ask_and_hear(&question, "patient");
	assert_found(&question, "loop 0, state 0, readings 0, first 2, second 3, third 3");
	assert_non_null(strstr(question.found[3].text, "no answer within 5s"));
	ask_and_hear(&question, "patient"); /* the first check's verdict could still come */
	assert_found(&question, "loop 0, state 0, readings 0, first 2, second 3, third 3");
	assert_non_null(strstr(question.found[3].text, "still owes"));
	assert_int_equal(ward.patient.examined, 1);
	ward.patient.answer = true;
	WAIT_UNTIL(ward.patient.answer == false);
	ask(&question, "patient");
	WAIT_UNTIL(ward.patient.examined == 2);
	close_ward(&ward);
}

static void patient_that_is_stopped__leaves_no_check_open(void **state)
{
	(void)state;
	struct ward ward = {.patient = {.by_test = true}};
	struct question question;
	open_ward(&ward);
	ask(&question, "patient");
	WAIT_UNTIL(ward.patient.examined == 1);
	end(ward.patient_instance);
	WAIT_UNTIL(question.done == 1);
	assert_found(&question, "loop 0, state 0, readings 0, first 2, second 3, third 3");
	assert_non_null(strstr(question.found[3].text, "was stopped"));
	end(ward.asker_instance);
}

static void asker_that_is_stopped__is_told_nothing_any_more(void **state)
{
	(void)state;
	struct ward ward = {.patient = {.by_test = true}};
	struct question question;
	open_ward(&ward);
	ask(&question, "patient");
	WAIT_UNTIL(ward.patient.examined == 1);
	WAIT_UNTIL(question.count == 3);
	end(ward.asker_instance);
	for (int i = 0; i < 3; i++) {
		ward.patient.answer = true;
		WAIT_UNTIL(ward.patient.answer == false);
	}
	end(ward.patient_instance);
	assert_int_equal(question.count, 3);
	assert_int_equal(question.done, 0);
}

static void instance_that_has_not_started__says_why_and_is_not_asked(void **state)
{
	(void)state;
	struct ward ward = {.patient = {.fail_starts = 1000}};
	struct question question;
	open_ward(&ward);
	WAIT_UNTIL(instance_state(ward.patient_instance) == CW_DOWN);
	ask_and_hear(&question, "patient");
	assert_found(&question, "loop 0, state 2, readings 1, first 3, second 3, third 3");
	assert_non_null(strstr(question.found[1].text, "start failed"));
	assert_non_null(strstr(question.found[3].text, "has not started"));
	close_ward(&ward);
}

/* No descriptor is left for its loop: its mail is not read, and there is no heartbeat to be missed. */
static void patient_without_a_loop__is_given_up_with_its_reason(void **state)
{
	(void)state;
	struct ward ward = {0};
	struct question question;
	struct rlimit before, none;
	fake_patient = &ward.patient;
	fake_asker = &ward.asker;
	ward.asker_instance = run(&ward.of_asker, "asker", &asker_plugin);
	WAIT_UNTIL(instance_first_done(ward.asker_instance));
	getrlimit(RLIMIT_NOFILE, &before);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	setrlimit(RLIMIT_NOFILE, &none);
	ward.patient_instance = run(&ward.of_patient, "patient", &patient_plugin);
	WAIT_UNTIL(instance_state(ward.patient_instance) == CW_DOWN);
	ask(&question, "patient");
	WAIT_UNTIL(question.done == 1);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_found(&question, "loop 2, state 3, readings 3, first 3, second 3, third 3");
	assert_non_null(strstr(question.found[0].text, "it has no event loop: down for"));
	assert_non_null(strstr(question.found[0].text, "file descriptor limit"));
	close_ward(&ward);
}

static void patient_left_behind__is_given_up(void **state)
{
	(void)state;
	static struct ward ward; /* outlives the test, as the thread does */
	struct question question;
	ward = (struct ward){.patient = {.blocks = true}};
	sem_init(&ward.patient.go, 0, 0);
	fake_patient = &ward.patient;
	fake_asker = &ward.asker;
	ward.patient_instance = run(&ward.of_patient, "patient", &patient_plugin);
	ward.asker_instance = run(&ward.of_asker, "asker", &asker_plugin);
	WAIT_UNTIL(ward.patient.reads == 1 && instance_first_done(ward.asker_instance));
	ask(&question, "patient");
	instance_stop(ward.patient_instance);
	assert_false(instance_join(ward.patient_instance, clock_now(), /* returns */ false));
	WAIT_UNTIL(question.done == 1);
	assert_found(&question, "loop 2, state 3, readings 3, first 3, second 3, third 3");
	end(ward.asker_instance);
	sem_post(&ward.patient.go);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rungs__come_in_order_whether_answered_at_once_or_later),
		cmocka_unit_test(failed_check__those_after_it_are_not_tried),
		cmocka_unit_test(down__is_a_symptom_and_the_cause_is_looked_for),
		cmocka_unit_test(readings_that_are_overdue__are_a_failed_rung),
		cmocka_unit_test(more_verdicts_than_questions__are_dropped),
		cmocka_unit_test(unknown_instance__is_said_and_nothing_is_called),
		cmocka_unit_test(all__are_examined_one_after_the_other_the_asker_too),
		cmocka_unit_test(output_that_drops__is_a_failed_rung),
		cmocka_unit_test(who_asks_meanwhile__hears_the_same),
		cmocka_unit_test(check_without_an_answer__fails_and_its_late_verdict_is_nobodys),
		cmocka_unit_test(patient_that_is_stopped__leaves_no_check_open),
		cmocka_unit_test(asker_that_is_stopped__is_told_nothing_any_more),
		cmocka_unit_test(instance_that_has_not_started__says_why_and_is_not_asked),
		cmocka_unit_test(patient_without_a_loop__is_given_up_with_its_reason),
		cmocka_unit_test(patient_left_behind__is_given_up), /* last: the hub is not freed after it */
	};
	return cmocka_run_group_tests(tests, make_world, end_world);
}
