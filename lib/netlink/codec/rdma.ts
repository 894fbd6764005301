import { type AttributesOf, table, text, u8, u32 } from '../attributes.ts';

/** <rdma/rdma_netlink.h>: a type combines client and command; there is no family header before the attributes */
const RDMA_NL_NLDEV = 5;
const typeOf = (command: number): number => (RDMA_NL_NLDEV << 10) | command;

export const RDMA_NLDEV_CMD_GET = typeOf(1);
export const RDMA_NLDEV_CMD_SET = typeOf(2);
export const RDMA_NLDEV_CMD_SYS_GET = typeOf(6);
export const RDMA_NLDEV_CMD_SYS_SET = typeOf(7);

/** RDMA_NLDEV_SYS_ATTR_NETNS_MODE: whether a device belongs to one namespace or to all */
export const NETNS_EXCLUSIVE = 0;
export const NETNS_SHARED = 1;

export const RdmaTable = table({
  devIndex: [1, u32],
  devName: [2, text],
  netnsMode: [66, u8],
  netNsFd: [68, u32],
});
export type RdmaAttributes = AttributesOf<typeof RdmaTable>;
