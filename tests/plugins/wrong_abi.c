/* SPDX-License-Identifier: MIT
 *
 * wrong-abi: says it was built for a plugin ABI of another major version.
 */
#include <callwatch/plugin.h>

CW_EXPORT const struct cw_plugin cw_plugin = {
	.abi_major = CW_ABI_MAJOR + 1,
	.abi_minor = 0,
	.size = sizeof(struct cw_plugin),
	.name = "wrong-abi",
};
