/* SPDX-License-Identifier: MIT
 *
 * Notices for the tests of notifiers: one that an operator would get, to be changed by the test.
 */
#ifndef TESTS_NOTICE_FIXTURE_H
#define TESTS_NOTICE_FIXTURE_H

#include "callwatch/notify.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NOTICE_FIXTURE_ALERTS = 12 };

struct notice_fixture {
	struct cw_notice notice;
	struct cw_alert alerts[NOTICE_FIXTURE_ALERTS];
	struct cw_fact facts[3], breakdown[2];
	struct cw_tag labels[3], group_labels[1];
	char subjects[NOTICE_FIXTURE_ALERTS][64], summaries[NOTICE_FIXTURE_ALERTS][96],
		fingerprints[NOTICE_FIXTURE_ALERTS][17], id[48];
};

static inline struct cw_array notice_fixture_array(const void *items, uint32_t count, size_t stride)
{
	return (struct cw_array){items, count, (uint32_t)stride};
}

/* 37 calls are silent; `sequence` of incident 1, of which each has another id. */
static inline struct cw_notice *notice_fixture(struct notice_fixture *made, uint32_t sequence)
{
	*made = (struct notice_fixture){
		.facts = {{"from_phone", "+1\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2\xe2\x80\xa2"
					 "0132"},
			  {"worker", "ai-7"},
			  {"heartbeat_age_seconds", "2m 37s"}},
		.breakdown = {{"worker ai-7", "37"}, {"business Acme & Sons", "12"}},
		.labels = {{"alertname", "call-stale"}, {"severity", "warning"}, {"team", "voice"}},
		.group_labels = {{"alertname", "call-stale"}},
	};
	for (uint32_t i = 0; i < NOTICE_FIXTURE_ALERTS; i++) {
		snprintf(made->subjects[i], sizeof(made->subjects[i]), "CA%030x", i);
		snprintf(made->summaries[i], sizeof(made->summaries[i]), "caller %u (Acme & Sons) silent for 2m 37s",
			 i);
		snprintf(made->fingerprints[i], sizeof(made->fingerprints[i]), "%016x", i + 1);
		made->alerts[i] = (struct cw_alert){.fingerprint = made->fingerprints[i],
						    .instance = "calls",
						    .subject = made->subjects[i],
						    .is_firing = true,
						    .summary = made->summaries[i],
						    .starts_at = 1795644000 * CW_SECOND,
						    .value = NAN,
						    .labels = CW_ARRAY(made->labels),
						    .facts = CW_ARRAY(made->facts)};
	}
	snprintf(made->id, sizeof(made->id), "6f1c0a77-1795644000-%x-9a3e", sequence);
	made->notice = (struct cw_notice){
		.size = sizeof(struct cw_notice),
		.id = made->id,
		.group = "6f1c0a77",
		.incident = "6f1c0a77-1795644000",
		.sequence = sequence,
		.kind = CW_NOTICE_FIRING,
		.severity = CW_SEVERITY_WARNING,
		.rule = "call-stale",
		.title = "call-stale: 37 of 849 calls silent since 02:09:51",
		.description = "No heartbeat for two minutes.\nLook at the worker they have in common.",
		.common = "worker=ai-7: 37 of 37; 12 businesses",
		.breakdown = CW_ARRAY(made->breakdown),
		.labels = CW_ARRAY(made->labels),
		.group_labels = CW_ARRAY(made->group_labels),
		.firing = 37,
		.alerts = notice_fixture_array(made->alerts, NOTICE_FIXTURE_ALERTS, sizeof(made->alerts[0])),
		.left_out = 25,
		.since = 1795644000 * CW_SECOND,
		.at = 1795644010 * CW_SECOND,
		.command = "callwatch get calls --where health_status=stale",
		.host = "web-1",
		.attempt = 1,
	};
	return &made->notice;
}

#endif
