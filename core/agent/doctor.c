/* SPDX-License-Identifier: MIT
 *
 * See doctor.h. An examination is shared by the asker's thread and those of its patients: each patient holds a
 * reference by its listener until it says that it is done. Patients append what they find under the lock and wake the
 * asker, which takes it from there. Given up means `finished`: what the patient says later is not listened to.
 */
#include "doctor.h"

#include "clock.h"
#include "examine.h"
#include "instance_private.h"
#include "roster.h"
#include "words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t loopless_ns = 5 * CW_SECOND; /* how long who has no loop yet is waited for */

struct note {
	struct note *next;
	struct finding finding;
};

struct patient {
	struct listener listener; /* first; the patient's until it says that it is done */
	struct examination *examination;
	char *name;
	const struct cw_plugin *decl;
	struct mailbox *box; /* a reference; tells it from a later instance of the same name */

	/* under the examination's lock */
	struct note *first, **last; /* found and not passed on yet */
	uint32_t heard;             /* rungs; the next one to be heard of */
	bool finished;

	bool seen; /* own thread: by the round under way */
};

struct examination {
	struct examination *next; /* of this asker; own thread */
	struct instance *self;
	_Atomic int references;
	struct waker *waker;
	pthread_mutex_t lock;
	struct patient *patients;
	size_t count, room;
	size_t now;    /* whose findings are being passed on; own thread */
	int64_t began; /* awake */
	void (*result)(void *arg, const struct cw_examined *examined);
	void (*done)(void *arg);
	void *arg;
};

/* ---- made and freed ---- */

static void patient_release(struct patient *patient)
{
	while (patient->first) {
		struct note *next = patient->first->next;
		free(patient->first);
		patient->first = next;
	}
	mailbox_unref(patient->box);
	free(patient->name);
}

static void examination_unref(struct examination *examination)
{
	if (!examination || atomic_fetch_sub(&examination->references, 1) > 1)
		return;
	for (size_t i = 0; i < examination->count; i++)
		patient_release(&examination->patients[i]);
	free(examination->patients);
	waker_unref(examination->waker);
	pthread_mutex_destroy(&examination->lock);
	free(examination);
}

/* ---- on the patient's thread ---- */

/* Must hold the lock. Without memory the rung is missing, and said to be when the patient has finished. */
static void take_note(struct patient *patient, const struct finding *finding)
{
	struct note *note = malloc(sizeof *note);
	if (!note)
		return;
	note->next = NULL;
	note->finding = *finding;
	*patient->last = note;
	patient->last = &note->next;
	patient->heard = finding->rung + 1;
}

/* Must hold the lock. Verdicts on all rungs that were not heard of: `verdict` on the first, the rest was not tried. */
static void conclude(struct patient *patient, enum cw_verdict verdict, const char *format, ...) CW_PRINTF(3, 4);
static void conclude(struct patient *patient, enum cw_verdict verdict, const char *format, ...)
{
	struct finding finding = {.verdict = verdict};
	va_list args;
	va_start(args, format);
	vsnprintf(finding.text, sizeof finding.text, format, args);
	va_end(args);
	for (finding.rung = patient->heard; finding.rung < examine_rungs(patient->decl); finding.rung++) {
		take_note(patient, &finding);
		finding.verdict = CW_CHECK_SKIPPED;
		snprintf(finding.text, sizeof finding.text, "not tried, since an earlier one failed");
	}
	patient->finished = true;
}

static void on_heard(struct listener *listener, const struct finding *finding)
{
	struct patient *patient = (struct patient *)listener;
	struct examination *examination = patient->examination;
	pthread_mutex_lock(&examination->lock);
	if (!patient->finished && finding)
		take_note(patient, finding);
	else if (!patient->finished)
		conclude(patient, CW_CHECK_FAILED,
			 "it was stopped or restarted meanwhile, or does not take any "
			 "more mail: ask again in some seconds");
	pthread_mutex_unlock(&examination->lock);
	waker_wake(examination->waker);
	if (!finding)
		examination_unref(examination);
}

/* ---- on the asker's thread ---- */

static void unlink_examination(struct examination *examination)
{
	struct examination **link = &examination->self->examinations;
	while (*link != examination)
		link = &(*link)->next;
	*link = examination->next;
	atomic_store(&examination->waker->closed, true);
	examination_unref(examination);
}

static void pass_on_note(const struct examination *examination, const struct patient *patient,
			 const struct finding *finding)
{
	struct cw_check check = examine_rung(patient->decl, finding->rung);
	struct cw_examined examined = {
		.instance = patient->name,
		.plugin = patient->decl->name,
		.check = check.name,
		.help = check.help,
		.verdict = finding->verdict,
		.text = finding->text,
	};
	examination->result(examination->arg, &examined);
}

/* True: that was all of this patient's. */
static bool pass_on_patient(struct examination *examination, struct patient *patient)
{
	pthread_mutex_lock(&examination->lock);
	struct note *notes = patient->first;
	bool finished = patient->finished;
	patient->first = NULL;
	patient->last = &patient->first;
	pthread_mutex_unlock(&examination->lock);
	while (notes) {
		struct note *note = notes;
		notes = note->next;
		pass_on_note(examination, patient, &note->finding);
		free(note);
	}
	return finished;
}

static void pass_on(struct examination *examination)
{
	while (examination->now < examination->count &&
	       pass_on_patient(examination, &examination->patients[examination->now]))
		examination->now++;
	if (examination->now < examination->count)
		return;
	void (*done)(void *arg) = examination->done;
	void *arg = examination->arg;
	unlink_examination(examination);
	done(arg);
}

static void on_woken(struct instance *self, void *arg)
{
	(void)self;
	pass_on(arg);
}

static struct patient *find_patient(struct examination *examination, const struct instance *instance)
{
	for (size_t i = 0; i < examination->count; i++)
		if (examination->patients[i].box == instance->box)
			return &examination->patients[i];
	return NULL;
}

/* Under the roster's lock. */
static void look_after(void *arg, struct instance *instance)
{
	struct examination *examination = arg;
	struct patient *patient = find_patient(examination, instance);
	char why[INSTANCE_REASON_MAX], state[WORDS_MAX];
	if (!patient)
		return;
	patient->seen = true;
	words_of_state(instance, state);
	bool has_no_loop = !atomic_load(&instance->in_loop) && clock_awake() - examination->began > loopless_ns;
	pthread_mutex_lock(&examination->lock);
	if (!patient->finished && instance_is_silent(instance, why))
		conclude(patient, CW_CHECK_FAILED, "%s", why);
	else if (!patient->finished && has_no_loop) /* it has no heartbeat that could be missed */
		conclude(patient, CW_CHECK_FAILED, "it has no event loop: %s", state);
	pthread_mutex_unlock(&examination->lock);
}

static void look_after_all(struct examination *examination)
{
	for (size_t i = 0; i < examination->count; i++)
		examination->patients[i].seen = false;
	roster_each(examination->self->context.roster, look_after, examination);
	pthread_mutex_lock(&examination->lock);
	for (size_t i = 0; i < examination->count; i++)
		if (!examination->patients[i].seen && !examination->patients[i].finished)
			conclude(&examination->patients[i], CW_CHECK_FAILED,
				 "it was stopped meanwhile, or did not end when it was told to and was left behind");
	pthread_mutex_unlock(&examination->lock);
}

/* One may end, and new ones be asked for, while its findings are passed on. */
void doctor_beat(struct instance *self)
{
	for (struct examination *next, *examination = self->examinations; examination; examination = next) {
		next = examination->next;
		look_after_all(examination);
		pass_on(examination);
	}
}

void doctor_stop(struct instance *self)
{
	while (self->examinations)
		unlink_examination(self->examinations);
}

/* ---- the asking ---- */

struct asking {
	struct examination *examination;
	const char *name;
	int error;
};

static void count_one(void *arg, struct instance *instance)
{
	struct asking *asking = arg;
	if (!asking->name || strcmp(asking->name, instance_name(instance)) == 0)
		asking->examination->room++;
}

/* Under the roster's lock. Between the count and this walk more may have come: they are left out. */
static void admit(void *arg, struct instance *instance)
{
	struct asking *asking = arg;
	struct examination *examination = asking->examination;
	bool wanted = !asking->name || strcmp(asking->name, instance_name(instance)) == 0;
	if (!wanted || examination->count == examination->room)
		return;
	struct patient *patient = &examination->patients[examination->count];
	*patient = (struct patient){
		.listener = {.heard = on_heard},
		.examination = examination,
		.name = strdup(instance_name(instance)),
		.decl = instance->decl,
		.box = mailbox_ref(instance->box),
		.last = &patient->first,
	};
	examination->count++;
	if (!patient->name)
		asking->error = -ENOMEM;
}

static void ask_one(void *arg, struct instance *instance)
{
	struct patient *patient = find_patient(arg, instance);
	char why[INSTANCE_REASON_MAX];
	if (!patient || instance_is_silent(instance, why)) /* the look after says why */
		return;
	atomic_fetch_add(&patient->examination->references, 1);
	examine_ask(instance, &patient->listener);
}

static struct examination *examination_new(struct instance *self)
{
	struct examination *examination = calloc(1, sizeof *examination);
	if (!examination)
		return NULL;
	examination->self = self;
	examination->began = clock_awake();
	atomic_init(&examination->references, 1);
	pthread_mutex_init(&examination->lock, /* attributes */ NULL);
	examination->waker = waker_new(self->box, on_woken, examination);
	if (examination->waker)
		return examination;
	examination_unref(examination);
	return NULL;
}

int doctor_ask(struct instance *self, const char *name, void (*result)(void *arg, const struct cw_examined *examined),
	       void (*done)(void *arg), void *arg)
{
	struct roster *roster = self->context.roster;
	struct asking asking = {examination_new(self), name, 0};
	struct examination *examination = asking.examination;
	if (!examination)
		return -ENOMEM;
	roster_each(roster, count_one, &asking);
	examination->patients = calloc(examination->room + 1, sizeof *examination->patients);
	if (examination->patients)
		roster_each(roster, admit, &asking);
	else
		asking.error = -ENOMEM;
	if (asking.error == 0 && name && examination->count == 0)
		asking.error = -ENOENT;
	if (asking.error < 0) {
		examination_unref(examination);
		return asking.error;
	}
	examination->result = result;
	examination->done = done;
	examination->arg = arg;
	examination->next = self->examinations;
	self->examinations = examination;
	roster_each(roster, ask_one, examination);
	look_after_all(examination);
	waker_wake(examination->waker); /* also if there is nobody: result() and done() are not called from here */
	return 0;
}
