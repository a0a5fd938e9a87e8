/* SPDX-License-Identifier: MIT
 *
 * libcurl on an instance's loop, for whatever it speaks (static library connect-curl): connect/http uses it for
 * requests, plugin email for SMTP. A transfer is an easy handle that its owner has set up; the loop drives it and tells
 * when it has ended. Everything runs on the instance's thread.
 */
#ifndef CALLWATCH_CONNECT_CURL_LOOP_H
#define CALLWATCH_CONNECT_CURL_LOOP_H

#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

struct curl_loop;

/* A transfer has ended by itself. `owner` is what its CURLOPT_PRIVATE says. It is still in the loop: remove it. From
 * here everything may be done, also closing the loop. */
typedef void (*curl_loop_done)(void *owner, CURLcode code);

/* At most `kept` connections stay open for transfers to come. gone(arg) is called once, when all that closing leaves on
 * the loop has gone; NULL: nobody waits for it. 0 or -ENOMEM. */
int curl_loop_open(uv_loop_t *loop, long kept, curl_loop_done done, void (*gone)(void *arg), void *arg,
		   struct curl_loop **ret_loop);
/* Its transfers have been removed. Connections that are kept are closed. */
void curl_loop_close(struct curl_loop *loop);

/* Begins; false: no memory. */
bool curl_loop_add(struct curl_loop *loop, CURL *easy);
/* Ends it without a word, wherever it is. Not from within one of its own callbacks. */
void curl_loop_remove(struct curl_loop *loop, CURL *easy);

#endif
