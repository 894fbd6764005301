import { anyObject, type Conf, conf, dns, flag, integer, readConf, section, text } from '../../lib/cni/config.ts';
import { compact, isObject, type JsonObject, sorted } from '../../lib/cni/json.ts';
import { NetnsIdentityForm } from '../../lib/cni/sandbox.ts';
import { bytesAsText, DeviceForm } from '../../lib/link/stored.ts';
import type { VfChanges } from '../../lib/link/vf-change.ts';
import { type LinkState, VLAN_PROTOCOLS } from '../../lib/link/vf-facts.ts';
import { type Mac, macOf } from '../../lib/net/mac.ts';
import { ETH_P_8021AD, LINK_STATES } from '../../lib/netlink/codec/vf.ts';
import { isPciAddress } from '../../lib/sys/bus-device.ts';
import { readForm } from '../../lib/sys/json-form.ts';
import { optionalInteger } from './config.ts';
import type { OwnPart, SriovRecord, VfBefore } from './record.ts';

/* The Go plugin's file format. Keys and types are the Go plugin's; ours are under one key, which it ignores. */

const OWN_FORMAT = 2;
/** As written by the Go plugin on a big-endian host. */
const ETH_P_8021AD_SWAPPED = 0xa888;

const GoForm = conf({
  MAC: text(''),
  MTU: optionalInteger(''),
  Master: text(''),
  OrigVfState: section(
    {
      HostIFName: text(''),
      SpoofChk: flag(''),
      Trust: flag(''),
      AdminMAC: text(''),
      EffectiveMAC: text(''),
      Vlan: integer(''),
      VlanQoS: integer(''),
      VlanProto: integer(''),
      MinTxRate: integer(''),
      MaxTxRate: integer(''),
      LinkState: integer('', { max: 2 ** 32 - 1 }),
      MTU: integer(''),
    },
    '',
  ),
  VFID: integer(''),
  cniVersion: text(''),
  name: text(''),
  type: text(''),
  deviceID: text(''),
  ipam: section({ type: text('') }, ''),
  vlan: optionalInteger(''),
  vlanQoS: optionalInteger(''),
  vlanProto: text(''),
  spoofchk: text(''),
  trust: text(''),
  link_state: text(''),
  min_tx_rate: optionalInteger(''),
  max_tx_rate: optionalInteger(''),
  braid: section(
    {
      format: integer(''),
      phase: text(''),
      containerId: text(''),
      ifName: text(''),
      netns: text(''),
      namespace: anyObject(''),
      incarnation: text(''),
      device: anyObject(''),
    },
    '',
  ),
});
type GoForm = Conf<typeof GoForm>;

/** One line, byte for byte what the Go plugin writes, except for our key. */
export function formatRecord(record: SriovRecord): string {
  const { before, asked } = record;
  return compact(
    sorted({
      min_tx_rate: null,
      max_tx_rate: null,
      ...record.conf,
      MAC: record.mac,
      MTU: record.mtu ?? null,
      Master: record.pfName,
      OrigVfState: {
        HostIFName: before.name,
        SpoofChk: before.vf.spoofCheck ?? true, // as the Go plugin reads the kernel's "unsupported"
        Trust: before.vf.trust ?? true,
        AdminMAC: before.vf.mac,
        EffectiveMAC: before.mac,
        Vlan: before.vf.vlan.id,
        VlanQoS: before.vf.vlan.qos,
        VlanProto: VLAN_PROTOCOLS[before.vf.vlan.protocol],
        MinTxRate: before.vf.rate.min,
        MaxTxRate: before.vf.rate.max,
        LinkState: LINK_STATES[before.vf.linkState],
        MTU: before.mtu,
      },
      VFID: record.vfNumber,
      name: record.network,
      deviceID: record.deviceId,
      ipam: record.ipamType === '' ? {} : { type: record.ipamType },
      vlan: asked.vlan?.id ?? null,
      vlanQoS: asked.vlan?.qos ?? null,
      vlanProto: asked.vlan?.protocol ?? null,
      ...(asked.spoofCheck === undefined ? {} : { spoofchk: asked.spoofCheck ? 'on' : 'off' }),
      ...(asked.trust === undefined ? {} : { trust: asked.trust ? 'on' : 'off' }),
      ...(asked.linkState === undefined ? {} : { link_state: asked.linkState }),
      ...(record.own === undefined ? {} : { braid: formatOwn(record.own) }),
    } as JsonObject),
  );
}

/**
 * Reads a record of either plugin; keys missing in older versions are zero.
 *
 * @throws CniError, SyntaxError when it is not a record
 */
export function parseRecord(textOfFile: string): SriovRecord {
  const value = JSON.parse(textOfFile) as JsonObject;
  const form = readConf(GoForm, value);
  const { deviceID, OrigVfState: original } = form;
  if (!isPciAddress(deviceID) || original === undefined) {
    throw new SyntaxError('it has no "deviceID" or no "OrigVfState"');
  }
  return {
    network: form.name,
    deviceId: deviceID.toLowerCase(),
    pfName: form.Master,
    vfNumber: form.VFID,
    ipamType: form.ipam?.type ?? '',
    mac: macIn(form.MAC),
    mtu: form.MTU,
    asked: askedIn(form),
    before: beforeIn(original),
    conf: copiedKeys(value),
    own: form.braid === undefined ? undefined : ownIn(form.braid),
  };
}

/** Configuration keys copied to the file unchanged. */
const COPIED = {
  cniVersion: text(''),
  type: text(''),
  min_tx_rate: optionalInteger(''),
  max_tx_rate: optionalInteger(''),
  logLevel: text(''),
  logFile: text(''),
  capabilities: anyObject(''),
  dns: dns(''),
  prevResult: anyObject(''),
};
const CopiedForm = conf({ ...COPIED, runtimeConfig: section({ mac: text('') }, '') });

/** Those keys of a document; like the Go plugin, without empty values. */
export function copiedKeys(document: JsonObject): JsonObject {
  const { runtimeConfig, ...given } = readConf(CopiedForm, document);
  const isThere = (value: unknown): boolean =>
    value !== undefined && value !== '' && !(isObject(value) && Object.keys(value).length === 0);
  const copied = Object.entries(given).filter(([key, value]) => Object.hasOwn(COPIED, key) && isThere(value));
  const mac = runtimeConfig?.mac ?? '';
  return { ...Object.fromEntries(copied), runtimeConfig: mac === '' ? {} : { mac } } as JsonObject;
}

function askedIn(form: GoForm): VfChanges {
  const { vlan, min_tx_rate: min, max_tx_rate: max } = form;
  const mac = macIn(form.MAC);
  return {
    ...(mac === '' ? {} : { mac }),
    ...(vlan === undefined
      ? {}
      : { vlan: { id: vlan, qos: form.vlanQoS ?? 0, protocol: form.vlanProto === '802.1ad' ? '802.1ad' : '802.1q' } }),
    ...(min === undefined && max === undefined ? {} : { rate: { min: min ?? 0, max: max ?? 0 } }),
    ...(form.spoofchk === '' ? {} : { spoofCheck: form.spoofchk === 'on' }), // any other word is off for the Go plugin
    ...(form.trust === '' ? {} : { trust: form.trust === 'on' }),
    ...(isLinkState(form.link_state) ? { linkState: form.link_state } : {}),
  };
}

function beforeIn(original: NonNullable<GoForm['OrigVfState']>): VfBefore {
  const isAd = [ETH_P_8021AD, ETH_P_8021AD_SWAPPED].includes(original.VlanProto);
  const states = Object.entries(LINK_STATES) as readonly (readonly [LinkState, number])[];
  return {
    vf: {
      mac: macIn(original.AdminMAC),
      vlan: { id: original.Vlan, qos: original.VlanQoS, protocol: isAd ? '802.1ad' : '802.1q' },
      spoofCheck: original.SpoofChk,
      trust: original.Trust,
      rate: { min: original.MinTxRate, max: original.MaxTxRate },
      linkState: states.find(([, number]) => number === original.LinkState)?.[0] ?? 'auto',
    },
    name: original.HostIFName,
    mac: macIn(original.EffectiveMAC),
    mtu: original.MTU,
  };
}

/** @throws SyntaxError when the text is neither empty nor a hardware address */
function macIn(textOfFile: string): Mac | '' {
  const mac = textOfFile === '' ? '' : macOf(textOfFile);
  if (mac === undefined) {
    throw new SyntaxError(`${JSON.stringify(textOfFile)} is not a hardware address`);
  }
  return mac;
}

const isLinkState = (word: string): word is LinkState => Object.hasOwn(LINK_STATES, word);

const formatOwn = (own: OwnPart): JsonObject =>
  JSON.parse(JSON.stringify({ format: OWN_FORMAT, ...own }, bytesAsText)) as JsonObject;

function ownIn(form: NonNullable<GoForm['braid']>): OwnPart | undefined {
  if (form.format !== OWN_FORMAT) {
    return undefined; // another version: the Go plugin's part is enough
  }
  const { containerId, ifName, netns, incarnation, phase } = form;
  return {
    containerId,
    ifName,
    netns,
    namespace: form.namespace === undefined ? undefined : readForm(NetnsIdentityForm, form.namespace),
    incarnation,
    phase: phase === 'changing' ? 'changing' : 'attached',
    device: form.device === undefined ? undefined : readForm(DeviceForm, form.device),
  };
}
