/* SPDX-License-Identifier: MIT
 *
 * `callwatch passwd` and `callwatch token add`: make what the plugin web lets people and programs in by, and print the
 * lines for its configuration. callwatchd is not asked, and keeps neither: the configuration holds hashes.
 */
#include "client.h"

#include "scalars.h"
#include "text.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { PASSWORD_LEAST = 8, PASSWORD_MAX = 256, TOKEN_BYTES = 32, NAME_MAX_LENGTH = 64 };

/* What OWASP recommends at least for argon2id: some tens of milliseconds a try, and little memory for the agent. */
enum { PASSES = 2, MEMORY_BYTES = 19 * 1024 * 1024 };

/* -- what both need ----------------------------------------------------------------------------------------------- */

static const char *role_of(const struct arguments *arguments)
{
	const char *role = arguments->role ? arguments->role : "viewer";
	if (strcmp(role, "viewer") == 0 || strcmp(role, "operator") == 0)
		return role;
	complain("--role is viewer or operator, not \"%s\"", role);
	return NULL;
}

/* As it can stand in YAML and in a log without quotes. */
static bool is_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@-";
	size_t length = strlen(name);
	return length && length <= NAME_MAX_LENGTH && name[strspn(name, letters)] == '\0' && !strchr(".@-", name[0]);
}

/* The login name, if it is one that can be used. */
static const char *own_name(void)
{
	const char *name = getenv("USER");
	return name && is_name(name) ? name : "user";
}

static const char *name_of(const struct arguments *arguments, const char *otherwise)
{
	const char *name = arguments->name ? arguments->name : otherwise;
	if (is_name(name))
		return name;
	complain("--name has 1 to 64 letters, digits, dots, underscores, @ and -, not \"%s\"", name);
	return NULL;
}

/* -- a line that nobody sees -------------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

/* Signals come in while we wait, and at no other time, so that none is missed. False: one came, or there is no more. */
static bool read_byte(char *ret_byte, const sigset_t *while_waiting)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	while (!interrupted) {
		if (ppoll(&input, 1, /* timeout: */ NULL, while_waiting) < 0 && errno == EINTR)
			continue;
		ssize_t n = read(STDIN_FILENO, ret_byte, 1);
		if (n >= 0 || errno != EINTR)
			return n == 1;
	}
	return false;
}

/* False: there is none. A line that is too long is empty. */
static bool read_line(char line[PASSWORD_MAX + 2], const sigset_t *while_waiting)
{
	size_t length = 0;
	bool fits = true, any = false;
	for (char c; read_byte(&c, while_waiting); any = true) {
		if (c == '\n') {
			any = true;
			break;
		}
		fits = fits && length <= PASSWORD_MAX;
		if (fits)
			line[length++] = c;
	}
	if (length && line[length - 1] == '\r')
		length--;
	line[fits ? length : 0] = '\0';
	return any && !interrupted;
}

/* Without echo, where it is a terminal. */
static bool read_hidden(const char *prompt, char line[PASSWORD_MAX + 2], const sigset_t *while_waiting)
{
	struct termios shown, hidden;
	if (tcgetattr(STDIN_FILENO, &shown) != 0)
		return read_line(line, while_waiting);
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	fputs(prompt, stderr);
	bool got = read_line(line, while_waiting);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
	fputc('\n', stderr);
	return got;
}

/* A signal that would end us does so when the terminal is as it was. */
static bool ask(const char *prompt, char line[PASSWORD_MAX + 2])
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	enum { NUMBERS = sizeof numbers / sizeof numbers[0] };
	struct sigaction action = {.sa_handler = on_signal}, before[NUMBERS];
	sigset_t ours, as_it_was;
	sigemptyset(&ours);
	for (int i = 0; i < NUMBERS; i++)
		sigaddset(&ours, numbers[i]);
	sigprocmask(SIG_BLOCK, &ours, &as_it_was);
	for (int i = 0; i < NUMBERS; i++)
		sigaction(numbers[i], &action, &before[i]);
	interrupted = 0;
	bool got = read_hidden(prompt, line, &as_it_was);
	for (int i = 0; i < NUMBERS; i++)
		sigaction(numbers[i], &before[i], NULL);
	sigprocmask(SIG_SETMASK, &as_it_was, NULL);
	if (interrupted)
		raise(interrupted);
	return got;
}

/* From a terminal twice, else one line. False: said why not. */
static bool read_password(char password[PASSWORD_MAX + 2])
{
	char again[PASSWORD_MAX + 2] = "";
	const char *wrong = NULL;
	if (!ask("Password: ", password))
		wrong = "no password was given";
	else if (strlen(password) < PASSWORD_LEAST || strlen(password) > PASSWORD_MAX)
		wrong = "a password has 8 to 256 bytes";
	else if (!text_is_utf8(password, strlen(password)))
		wrong = "a password is UTF-8 text";
	else if (isatty(STDIN_FILENO) && (!ask("Once more: ", again) || strcmp(password, again) != 0))
		wrong = "that was another one; nothing was made";
	sodium_memzero(again, sizeof again);
	if (wrong)
		complain("%s", wrong);
	return !wrong;
}

/* -- commands ----------------------------------------------------------------------------------------------------- */

int command_passwd(const struct arguments *arguments)
{
	char password[PASSWORD_MAX + 2] = "", hash[crypto_pwhash_argon2id_STRBYTES];
	const char *role = role_of(arguments), *name = role ? name_of(arguments, own_name()) : NULL;
	if (!name)
		return EXIT_USAGE;
	if (sodium_init() < 0 || !read_password(password))
		return EXIT_FAILED;
	int rc = crypto_pwhash_argon2id_str(hash, password, strlen(password), PASSES, MEMORY_BYTES);
	sodium_memzero(password, sizeof password);
	if (rc) {
		complain("not enough memory to make a hash");
		return EXIT_FAILED;
	}
	printf("    users:\n      - name: %s\n        role: %s\n        password_hash: \"%s\"\n", name, role, hash);
	return EXIT_FINE;
}

/* A time, a date, or how long from now. False: said why not. */
static bool read_expiry(const char *text, char time[TEXT_TIME_SIZE])
{
	int64_t wall, duration;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t now_wall = (int64_t)now.tv_sec * CW_SECOND;
	if (parse_duration(text, &duration) == 0 && duration < INT64_MAX - now_wall)
		wall = now_wall + duration;
	else if (text_parse_time(text, strlen(text), &wall, NULL) != 0) {
		complain("--expires is a time such as 2027-01-31 or 2027-01-31T12:00:00Z, or how long from now: 90d");
		return false;
	}
	if (wall <= now_wall) {
		complain("--expires %s is past", text);
		return false;
	}
	text_time(time, wall);
	return true;
}

static void print_token(const char *token, const char *name, const char *role, const char *expires)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	char hex[2 * crypto_hash_sha256_BYTES + 1];
	crypto_hash_sha256(hash, (const unsigned char *)token, strlen(token));
	sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
	printf("%s\n\nThis is the token; it is shown once. For `callwatch` put it into a file that only you can read\n"
	       "(--token-file, CALLWATCH_TOKEN_FILE). For callwatchd, in the configuration of the plugin web:\n\n"
	       "    tokens:\n      - name: %s\n        role: %s\n        token_hash: sha256:%s\n",
	       token, name, role, hex);
	if (*expires)
		printf("        expires: %s\n", expires);
}

int command_token(const struct arguments *arguments)
{
	unsigned char bytes[TOKEN_BYTES];
	char token[TOKEN_BYTES * 2] = "cwt_", expires[TEXT_TIME_SIZE] = "";
	if (strcmp(arguments->words[1], "add") != 0) {
		complain("`callwatch token` knows add only; a token ends when its lines are taken out of the "
			 "configuration");
		return EXIT_USAGE;
	}
	if (!arguments->role) {
		complain("say which role the token has: --role viewer or --role operator");
		return EXIT_USAGE;
	}
	const char *role = role_of(arguments), *name = role ? name_of(arguments, "token") : NULL;
	if (!name || (arguments->expires && !read_expiry(arguments->expires, expires)))
		return EXIT_USAGE;
	if (sodium_init() < 0)
		return EXIT_FAILED;
	randombytes_buf(bytes, sizeof bytes);
	sodium_bin2base64(token + 4, sizeof token - 4, bytes, sizeof bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	print_token(token, name, role, expires);
	sodium_memzero(bytes, sizeof bytes);
	sodium_memzero(token, sizeof token);
	return EXIT_FINE;
}
