/* SPDX-License-Identifier: MIT
 *
 * no-symbol: a shared object that is no plugin.
 */
int no_symbol_here(void);
int no_symbol_here(void)
{
	return 0;
}
