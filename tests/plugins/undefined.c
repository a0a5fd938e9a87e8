/* SPDX-License-Identifier: MIT
 *
 * undefined: needs a function that nobody has, as a plugin does that was linked without its library.
 */
#include <callwatch/plugin.h>

int nobody_has_this_function(struct cw_instance *self, const struct cw_host *host, const struct cw_value *values,
			     void **ret_state);

CW_EXPORT const struct cw_plugin cw_plugin = {
	CW_PLUGIN_ABI,
	.name = "undefined",
	.summary = "Cannot be loaded, for tests",
	.role = CW_SOURCE,
	.start = nobody_has_this_function,
};
