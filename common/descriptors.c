/* SPDX-License-Identifier: MIT
 *
 * See descriptors.h.
 */
#include "descriptors.h"

#include <fcntl.h>
#include <unistd.h>

bool descriptors_are_left(unsigned count)
{
	int taken[DESCRIPTORS_MOST];
	unsigned n = 0;
	while (n < count && n < DESCRIPTORS_MOST && (taken[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		n++;
	bool are_left = n == count;
	while (n > 0)
		close(taken[--n]);
	return are_left;
}
