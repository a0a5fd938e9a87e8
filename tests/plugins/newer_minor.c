/* SPDX-License-Identifier: MIT
 *
 * newer-minor: uses a minor version of the ABI that this callwatch does not have yet.
 */
#include <callwatch/plugin.h>

CW_EXPORT const struct cw_plugin cw_plugin = {
	.abi_major = CW_ABI_MAJOR,
	.abi_minor = CW_ABI_MINOR + 1,
	.size = sizeof(struct cw_plugin),
	.name = "newer-minor",
};
