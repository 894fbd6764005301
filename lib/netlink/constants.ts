/** Numbers of the kernel that messages of several kinds have: linux/netlink.h, sys/socket.h. */

export const AF_INET = 2;
export const AF_INET6 = 10;

/** Of requests that make something: replace what is there, fail if something is, make it, add it to what is there. */
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
/** Of requests that get something: all there is. */
export const NLM_F_DUMP = 0x300;
