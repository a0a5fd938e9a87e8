/* SPDX-License-Identifier: MIT
 *
 * The scripts that move messages. Lua, run by Redis as a whole or not at all: nothing else happens between finding a
 * message, putting it somewhere and taking it away.
 *
 * What must hold: a message is put before it is taken, for putting may be refused (no memory, no right) and taking then
 * does not happen; the rights of all commands are asked for before the first of them, where the server can tell (7.0
 * and later); the receipt is written with them.
 */
#ifndef DLQ_SCRIPTS_H
#define DLQ_SCRIPTS_H

/* Lua for the scripts that look for a message: what stands at a place, and is it the one that is meant? They use
 * `kind`, `tail`, `id` and `length`. */
#define SCRIPT_AT_AND_SAME                                                                                             \
	"local function at(p)\n"                                                                                       \
	"  if kind == 'list' then\n"                                                                                   \
	"    local v = redis.call('LINDEX', KEYS[1], tail and -1 - p or p)\n"                                          \
	"    return v and {v}\n"                                                                                       \
	"  elseif kind == 'zset' then\n"                                                                               \
	"    local v = tail and redis.call('ZRANGE', KEYS[1], p, p, 'REV') or redis.call('ZRANGE', KEYS[1], p, p)\n"   \
	"    return v[1] and {v[1]}\n"                                                                                 \
	"  end\n"                                                                                                      \
	"  local e = redis.call('XRANGE', KEYS[1], p, p)[1]\n"                                                         \
	"  return e and e[2]\n"                                                                                        \
	"end\n"                                                                                                        \
	"local function same(e)\n"                                                                                     \
	"  if not e then return false end\n"                                                                           \
	"  local v = table.concat(e, '\\0')\n"                                                                         \
	"  return #v == length and redis.sha1hex(v) == id\n"                                                           \
	"end\n"

/* KEYS: the queue, the receipts, where it goes (a key; the trash, which also keeps what is published).
 * ARGV: 1 kind, 2 from the tail?, 3 name, 4 length, 5 place (of a stream: entry), 6 score, 7 copies, 8 window,
 *       9 what (reset, push, publish, drop), 10 receipt, 11 at the head?, 12 field of a stream's message,
 *       13 new bytes, 14 new next_retry_at of an entry that is itself the message, 15 new score or "",
 *       16 channel, 17 now, 18 who and which task, 19 most parts, 20 most bytes of an entry that is itself the message.
 * Returns {word, number}: done N, again N (it had been done before), gone, lost (not near its place), nobody (no
 * subscriber), type (the target is of another kind), there (the very same is in the sorted set where it goes), fields
 * (more than most parts), large (more than most bytes), denied COMMAND. */
extern const char script_move[];

/* KEYS: the queue, the receipts, the trash.
 * ARGV: 1 name of the member of the trash, 2 its score, 3 receipt, 4 at the head?
 * Returns as above. */
extern const char script_restore[];

/* KEYS: the trash. ARGV: first, last. For each member, the newest first: its name, score, first line, first 4096 bytes
 * after that. */
extern const char script_trash[];

#endif
