/*
 * Where the executable starts: before Node, and without the C library. It hides the environment from Node, which obeys
 * far more of it than NODE_OPTIONS: modules to load, channels, cache and coverage folders, OpenSSL configuration. Nothing
 * is lost: the first letter of a name becomes a control character, and the program restores the letter
 * (environment.ts), so that delegates get the runtime's environment.
 *
 * Linked to its final address, with node_start as the former entry point (executable.ts).
 */

#if defined(__x86_64__)
__asm__(".section .text.start, \"ax\"\n"
	".globl start\n"
	"start:\n"
	"	mov %rsp, %rdi\n"
	"	push %rdx\n" /* the loader's exit function */
	"	push %rdx\n" /* keeps the stack aligned */
	"	call hide\n"
	"	pop %rdx\n"
	"	pop %rdx\n"
	"	jmp node_start\n");
#elif defined(__aarch64__)
__asm__(".section .text.start, \"ax\"\n"
	".globl start\n"
	"start:\n"
	"	stp x0, x30, [sp, #-16]!\n" /* x0: the loader's exit function */
	"	add x0, sp, #16\n"
	"	bl hide\n"
	"	ldp x0, x30, [sp], #16\n"
	"	b node_start\n");
#else
#error "cannot hide the environment from Node on this processor"
#endif

/* Variables of the program itself, and those that Node may see: time zone and temporary folder. */
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

/* The stack of a new program: argc, argv, NULL, environment, NULL. No name that Node reads begins with a lower-case letter. */
__attribute__((used)) void hide(long *stack)
{
	char **entry = (char **)(stack + 1) + stack[0] + 1;

	for (; *entry != (char *)0; entry++) {
		char first = **entry;

		if (((first >= 'A' && first <= 'Z') || first == '_') && !is_kept(*entry))
			**entry = (char)(first & 0x1f);
	}
}
