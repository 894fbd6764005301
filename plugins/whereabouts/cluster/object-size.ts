import type { IpPool } from './objects.ts';

/** etcd takes requests of 1.5 MiB (`--max-request-bytes`); this much of one is not the object. */
const AROUND_BYTES = 2048;
export const MOST_BYTES = 1.5 * 1024 * 1024 - AROUND_BYTES;

export const NEARLY = 0.8;
/** The longest names make 427 bytes of an entry: with fewer, no object comes near. */
const FEW_ENTRIES = 2000;

/**
 * How much room the object takes, nearly as etcd has it: what it is read as has the same members. An API server that is
 * told that an object is too large writes it again without the notes of who has set which field.
 *
 * @returns undefined when it has too few entries to be large, which saves writing it
 */
export const bytesOf = (object: IpPool, entries: number): number | undefined =>
  entries < FEW_ENTRIES || roughBytes(object) * NEARLY_SURE < MOST_BYTES * NEARLY ? undefined : writtenBytes(object);

/** The same, whatever it takes to say. */
export const writtenBytes = (object: IpPool): number =>
  Buffer.byteLength(JSON.stringify({ ...object, metadata: { ...object.metadata, managedFields: undefined } }));

/** Writing a large object takes milliseconds, and adding lengths up does not. */
const roughBytes = ({ spec: { allocations = {} } }: IpPool): number => {
  let bytes = 0;
  for (const key in allocations) {
    const { id = '', podref = '', ifname = '' } = allocations[key] ?? {};
    bytes += key.length + id.length + podref.length + ifname.length + AROUND_ENTRY;
  }
  return bytes;
};
/** Names of members, quotes, commas. */
const AROUND_ENTRY = 44;
const NEARLY_SURE = 1.25;
