import * as z from 'zod/mini';
import type { Mac } from '../net/mac.ts';
import type { DeviceFacts } from './device.ts';
import type { Picture } from './picture.ts';

/* What is kept of devices on disk, as schemas: what is read back is what was written, or an error that says where not. */

const bytes = z.pipe(
  z.string(),
  z.transform((text) => Buffer.from(text, 'base64')),
);
/** In the form of `formatMac`, whatever its length: a tunnel has an address of four bytes. */
const mac = z.string().check(z.regex(/^([0-9a-f]{2}(:[0-9a-f]{2})*)?$/)) as unknown as z.ZodMiniType<Mac | ''>;
/** A number that JSON leaves out when it is undefined. */
const maybeNumber = z.optional(z.number()) as unknown as z.ZodMiniType<number | undefined>;

const StoredDevice = z.object({
  index: z.number(),
  name: z.string(),
  mac,
  mtu: z.number(),
  isUp: z.boolean(),
  isRunning: z.boolean(),
  kind: z.string(),
  parentIndex: maybeNumber,
  masterIndex: maybeNumber,
  slaveKind: z.string(),
  altNames: z.array(z.string()),
  alias: z.string(),
  permanentMac: mac,
  parentDev: z.string(),
  flags: z.number(),
  txQueueLength: z.number(),
  group: z.number(),
  inetConf: bytes,
  inet6Conf: bytes,
});

/** A device as the kernel told of it. */
export const DeviceForm: z.ZodMiniType<DeviceFacts> = StoredDevice;

/** A picture of a device, with its addresses, routes and rules. */
export const PictureForm: z.ZodMiniType<Picture> = z.object({
  device: StoredDevice,
  master: z.string(),
  port: z.optional(bytes),
  kept: z.object({
    index: z.number(),
    takenAt: z.optional(z.number()),
    addresses: z.array(bytes),
    routes: z.array(bytes),
    rules: z.array(bytes),
  }),
});

/** Writes bytes as base64, which those forms read. For `JSON.stringify`, where buffers come as `{ type, data }`. */
export function bytesAsText(_key: string, value: unknown): unknown {
  const seen = value as { readonly type?: unknown; readonly data?: unknown } | null;
  return seen?.type === 'Buffer' && Array.isArray(seen.data)
    ? Buffer.from(seen.data as number[]).toString('base64')
    : value;
}
