/* SPDX-License-Identifier: MIT
 *
 * feeder: a plugin for collectd, as fast a source as its API allows, to measure collectd's own outputs with. Each
 * reading dispatches FEEDER_SERIES gauges (environment; default 20000), named as long as those of
 * tests/plugins/flood.c, until FEEDER_READINGS (50) are done. Built only where collectd-dev is installed; no part of
 * callwatch.
 *
 * collectd's config.h defines PACKAGE, VERSION and 370 other macros, so this file includes nothing of ours.
 */
#define HAVE_CONFIG_H 1
#include <collectd/core/daemon/collectd.h>

#include <collectd/core/daemon/plugin.h>

#include <stdio.h>
#include <stdlib.h>

static int number(const char *name, int otherwise)
{
	const char *text = getenv(name);
	return text ? atoi(text) : otherwise;
}

static int feeder_read(void)
{
	static int readings;
	value_list_t list = VALUE_LIST_INIT;
	value_t value = {.gauge = 0};
	int series = number("FEEDER_SERIES", 20000);
	if (readings == number("FEEDER_READINGS", 50))
		return 0;
	readings++;
	list.values = &value;
	list.values_len = 1;
	list.time = cdtime();
	snprintf(list.plugin, sizeof(list.plugin), "callwatch");
	snprintf(list.plugin_instance, sizeof(list.plugin_instance), "flood");
	snprintf(list.type, sizeof(list.type), "gauge");
	for (int i = 0; i < series; i++) {
		value.gauge = readings * 1000000.0 + i;
		snprintf(list.type_instance, sizeof(list.type_instance), "flood_value-s%06d", i);
		plugin_dispatch_values(&list);
	}
	return 0;
}

void module_register(void)
{
	plugin_register_read("feeder", feeder_read);
}
