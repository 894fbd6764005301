import * as z from 'zod/mini';
import { recordName } from '../../lib/cni/record-name.ts';
import { type NetnsIdentity, NetnsIdentityForm } from '../../lib/cni/sandbox.ts';
import type { Picture } from '../../lib/link/picture.ts';
import { bytesAsText, PictureForm } from '../../lib/link/stored.ts';
import { parseForm } from '../../lib/sys/json-form.ts';
import { RecordFolder } from '../../lib/sys/record-folder.ts';

const DEFAULT_DATA_DIR = '/var/lib/cni/host-device';
const FORMAT = 2;

/** Owner and former state of a device: written before the device is touched, deleted when it is restored. */
export interface DeviceRecord {
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
  /** CNI_NETNS of ADD */
  readonly netns: string;
  readonly namespace: NetnsIdentity;
  /** of the hardware, see `incarnationOf`; '' for a virtual link */
  readonly incarnation: string;
  /** restore everything, or only the name */
  readonly restore: boolean;
  readonly picture: Picture;
}

/** Names the record of an attachment. */
export type RecordKey = Pick<DeviceRecord, 'containerId' | 'ifName'>;

const Form = z.object({
  format: z.literal(FORMAT),
  network: z.string(),
  containerId: z.string(),
  ifName: z.string(),
  netns: z.string(),
  namespace: NetnsIdentityForm,
  incarnation: z.string(),
  restore: z.boolean(),
  picture: PictureForm,
});

export type Records = RecordFolder<DeviceRecord>;

/** @param dataDir of the configuration; '' for the default folder */
export const recordsIn = (dataDir: string): Records =>
  new RecordFolder(dataDir || DEFAULT_DATA_DIR, {
    format: (record) => JSON.stringify({ format: FORMAT, ...record }, bytesAsText),
    parse: (text) => parseForm(Form, text),
  });

export const nameOf = ({ containerId, ifName }: RecordKey): string => recordName({ containerId, ifName });
