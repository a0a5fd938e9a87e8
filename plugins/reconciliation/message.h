/* SPDX-License-Identifier: MIT
 *
 * A task for Celery, as its own client would put it into a Redis broker: message protocol 2 (docs.celeryq.dev,
 * "Message Protocol") in the envelope of kombu's Redis transport. A pure function: the same id makes the same bytes, so
 * that it can be asked later whether they still wait.
 */
#ifndef RECONCILIATION_MESSAGE_H
#define RECONCILIATION_MESSAGE_H

#include <stddef.h>

enum { MESSAGE_ID_SIZE = 37, MESSAGE_BYTES_MAX = 8192 };

struct message {
	const char *id;     /* a UUID */
	const char *task;   /* its name */
	const char *queue;  /* which is the list's key */
	const char *origin; /* who sends it, for people */
};

/* A new random UUID (version 4). */
void message_new_id(char id[MESSAGE_ID_SIZE]);
/* Writes it into the buffer, with a NUL; the length, or 0: it does not fit. */
size_t message_make(const struct message *message, char buffer[MESSAGE_BYTES_MAX]);

#endif
