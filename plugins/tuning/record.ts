import * as z from 'zod/mini';
import { messageOf } from '../../lib/cni/errors.ts';
import { type NetnsIdentity, NetnsIdentityForm } from '../../lib/cni/sandbox.ts';
import type { LinkSettings } from '../../lib/link/settings.ts';
import { macOf } from '../../lib/net/mac.ts';
import { isShortage } from '../../lib/sys/io-error.ts';
import { parseForm } from '../../lib/sys/json-form.ts';
import { RecordFolder } from '../../lib/sys/record-folder.ts';

/** What names an attachment in this folder. */
export interface Named {
  readonly containerId: string;
  readonly ifName: string;
}

/** Whose the settings are, and of which link. */
export interface Owner extends Named {
  readonly network: string;
  /** CNI_NETNS of ADD */
  readonly netns: string;
  readonly namespace: NetnsIdentity;
  /** index of the link in that namespace */
  readonly link: number;
}

/** What an interface had before. */
export interface TuningRecord {
  readonly before: LinkSettings;
  /** undefined in files of the Go plugin: of which link they are they do not say */
  readonly owner: Owner | undefined;
}

/** The Go plugin's name. */
export const nameOf = ({ containerId, ifName }: Named): string => `${containerId}_${ifName}.json`;

/** The Go plugin's keys in its order and its indentation, then ours under one key, which it ignores. */
export function formatRecord({ before, owner }: TuningRecord): string {
  const { mac, isPromiscuous, mtu, isAllMulticast, txQueueLength } = before;
  const braid = owner && {
    network: owner.network,
    containerID: owner.containerId,
    ifname: owner.ifName,
    netns: owner.netns,
    namespace: owner.namespace,
    link: owner.link,
  };
  return JSON.stringify(
    { mac, promisc: isPromiscuous, mtu, allmulti: isAllMulticast, txQLen: txQueueLength, braid },
    undefined,
    1,
  );
}

const maybe = <T>(schema: z.ZodMiniType<T>) => z.optional(z.nullable(schema));
const RecordForm = z.object({
  mac: maybe(z.string()),
  promisc: maybe(z.boolean()),
  mtu: maybe(z.number()),
  allmulti: maybe(z.boolean()),
  txQLen: maybe(z.number()),
  braid: z.optional(
    z.object({
      network: z.string(),
      containerID: z.string(),
      ifname: z.string(),
      netns: z.string(),
      namespace: NetnsIdentityForm,
      link: z.number(),
    }),
  ),
});

/** @throws Error saying why it is not a record */
export function parseRecord(text: string): TuningRecord {
  const { mac, promisc, mtu, allmulti, txQLen, braid } = parseForm(RecordForm, text);
  const known = macOf(mac ?? '');
  return {
    before: {
      ...(known === undefined ? {} : { mac: known }),
      ...(typeof promisc === 'boolean' ? { isPromiscuous: promisc } : {}),
      ...(mtu ? { mtu } : {}),
      ...(typeof allmulti === 'boolean' ? { isAllMulticast: allmulti } : {}),
      ...(typeof txQLen === 'number' ? { txQueueLength: txQLen } : {}),
    },
    owner: braid && {
      network: braid.network,
      containerId: braid.containerID,
      ifName: braid.ifname,
      netns: braid.netns,
      namespace: braid.namespace,
      link: braid.link,
    },
  };
}

export type Records = RecordFolder<TuningRecord>;

export const recordsIn = (dataDir: string): Records =>
  new RecordFolder(dataDir, { format: formatRecord, parse: parseRecord });

/** Stands for a file that says nothing. */
const NOTHING: TuningRecord = { before: {}, owner: undefined };

/**
 * A record, where one that is damaged says nothing.
 *
 * @returns undefined when there is none
 * @throws CniError ioFailure when the node is short of something: a retry can read it
 */
export function readRecord(records: Records, named: Named, log: (line: string) => void): TuningRecord | undefined {
  try {
    return records.read(nameOf(named));
  } catch (error) {
    if (isShortage(error)) {
      throw error;
    }
    log(messageOf(error));
    return NOTHING;
  }
}
