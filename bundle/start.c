/*
 * Where the executable begins: before Node, and with nothing of the C library. It hides the environment from Node, which
 * obeys far more of it than NODE_OPTIONS: other modules, channels, caches and coverage in folders, a configuration of
 * OpenSSL. Nothing gets lost: the first letter of a name becomes a control character, and the program reads it as the
 * letter again (environment.ts), so that delegates get what the runtime gave.
 *
 * Linked to the place where it is put, with node_start as what was the entry point (executable.ts).
 */

#if defined(__x86_64__)
__asm__(".section .text.start, \"ax\"\n"
	".globl start\n"
	"start:\n"
	"	mov %rsp, %rdi\n"
	"	push %rdx\n" /* what the loader wants to be called at exit */
	"	push %rdx\n" /* keeps the stack aligned */
	"	call hide\n"
	"	pop %rdx\n"
	"	pop %rdx\n"
	"	jmp node_start\n");
#elif defined(__aarch64__)
__asm__(".section .text.start, \"ax\"\n"
	".globl start\n"
	"start:\n"
	"	stp x0, x30, [sp, #-16]!\n" /* x0: what the loader wants to be called at exit */
	"	add x0, sp, #16\n"
	"	bl hide\n"
	"	ldp x0, x30, [sp], #16\n"
	"	b node_start\n");
#else
#error "cannot hide the environment from Node on this processor"
#endif

/* What the program itself is about, and what Node may know: which time it is, and where to put a file. */
static const char kept[][8] = { "CNI_", "PATH=", "TMPDIR=", "TZ=" };

static int is_kept(const char *entry)
{
	unsigned int i, length;

	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		for (length = 0; length < sizeof(kept[0]) && kept[i][length] != '\0'; length++) {
			if (entry[length] != kept[i][length])
				break;
		}
		if (length == sizeof(kept[0]) || kept[i][length] == '\0')
			return 1;
	}
	return 0;
}

/* The stack of a new program: argc, argv, NULL, environment, NULL. Node knows no name that begins with a small letter. */
__attribute__((used)) void hide(long *stack)
{
	char **entry = (char **)(stack + 1) + stack[0] + 1;

	for (; *entry != (char *)0; entry++) {
		char first = **entry;

		if (((first >= 'A' && first <= 'Z') || first == '_') && !is_kept(*entry))
			**entry = (char)(first & 0x1f);
	}
}
