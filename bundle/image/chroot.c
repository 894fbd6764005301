/*
 * chroot FOLDER PROGRAM [ARGUMENT]...: runs a program of another root, as the one of the system's does, which an image
 * without a system lacks. "braid install" asks with it whether a plugin starts on the node, and the agent executes plugins
 * of others with it where daemon-config.json says so.
 */
#include <stdio.h>
#include <unistd.h>

enum { WRONG_USAGE = 125, CANNOT_RUN = 127 };

int main(int argc, char **argv)
{
	if (argc < 3) {
		fputs("usage: chroot FOLDER PROGRAM [ARGUMENT]...\n", stderr);
		return WRONG_USAGE;
	}
	if (chroot(argv[1]) != 0 || chdir("/") != 0) {
		perror("chroot: cannot change the root");
		return WRONG_USAGE;
	}
	execv(argv[2], argv + 2);
	perror("chroot: cannot run the program");
	return CANNOT_RUN;
}
