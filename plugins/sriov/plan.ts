import { macIn } from '../../lib/cni/args.ts';
import { CniError } from '../../lib/cni/errors.ts';
import type { VfChanges } from '../../lib/link/vf-change.ts';
import { VLAN_PROTOCOLS, type VlanProtocol, type VlanTag } from '../../lib/link/vf-facts.ts';
import { ethernetMacFault, formatMac, type Mac, parseMac } from '../../lib/net/mac.ts';
import { isPciAddress } from '../../lib/sys/bus-device.ts';
import type { SriovConf } from './config.ts';

const LOWEST_MTU = 68;

/** The desired state of an attachment. */
export interface SriovPlan {
  /** requested from the PF */
  readonly changes: VfChanges;
  /** of the interface in the pod; undefined leaves it */
  readonly mac: Mac | undefined;
  /** undefined leaves it */
  readonly mtu: number | undefined;
}

/** Attributes of an untouched VF. The hardware address is not among them: some drivers must have one. */
export const DEFAULT_ATTRIBUTES = {
  vlan: { id: 0, qos: 0, protocol: '802.1q' },
  rate: { min: 0, max: 0 },
  spoofCheck: true,
  trust: false,
  linkState: 'auto',
} as const satisfies VfChanges;

/**
 * Reads the configuration, and refuses contradictions.
 *
 * @param wantedMac '' when none is given
 * @throws CniError invalidNetworkConfig
 */
export function planSriov(conf: SriovConf, wantedMac: string): SriovPlan {
  const mac = wantedMac === '' ? undefined : readMac(wantedMac);
  const { spoofchk, trust, link_state: linkState } = conf;
  const vlan = planVlan(conf);
  const rate = planRate(conf);
  return {
    changes: {
      ...(mac === undefined ? {} : { mac }),
      ...(vlan === undefined ? {} : { vlan }),
      ...(rate === undefined ? {} : { rate }),
      ...(spoofchk === undefined ? {} : { spoofCheck: spoofchk === 'on' }),
      ...(trust === undefined ? {} : { trust: trust === 'on' }),
      ...(linkState === undefined ? {} : { linkState }),
    },
    mac,
    mtu: planMtu(conf),
  };
}

/**
 * The runtime's address beats CNI_ARGS, which beat the configuration.
 *
 * @throws CniError badEnv when CNI_ARGS win but hold no address
 */
export const wantedMacOf = (conf: SriovConf, args: Readonly<Record<string, string>>): string =>
  conf.runtimeConfig?.mac || macIn(args) || conf.mac;

/**
 * PCI address of the VF, lower case.
 *
 * @throws CniError invalidNetworkConfig saying who should have passed it
 */
export function deviceIdOf({ deviceID }: SriovConf): string {
  if (deviceID === '') {
    throw invalid(
      'cannot choose a VF: "deviceID" is missing; the SR-IOV device plugin passes it through multus when the pod requests the resource named by the network (k8s.v1.cni.cncf.io/resourceName)',
    );
  }
  if (!isPciAddress(deviceID)) {
    throw invalid(`cannot use "deviceID" ${JSON.stringify(deviceID)}: it is not a PCI address such as 0000:65:02.3`);
  }
  return deviceID.toLowerCase();
}

function planVlan({ vlan: id, vlanQoS, vlanProto }: SriovConf): VlanTag | undefined {
  const protocol = vlanProto.toLowerCase() || '802.1q';
  if (id === undefined) {
    const key = vlanQoS === undefined ? 'vlanProto' : 'vlanQoS';
    if (vlanQoS !== undefined || vlanProto !== '') {
      throw invalid(`cannot use "${key}": it needs "vlan"`);
    }
    return undefined;
  }
  if (!isVlanProtocol(protocol)) {
    throw invalid(`cannot use "vlanProto" ${JSON.stringify(vlanProto)}: it is neither "802.1q" nor "802.1ad"`);
  }
  if (id === 0 && (vlanQoS ?? 0) !== 0) {
    throw invalid(`cannot use "vlanQoS" ${vlanQoS}: "vlan" 0 has no tag to carry it`);
  }
  if (id === 0 && protocol !== '802.1q') {
    throw invalid(`cannot use "vlanProto" "${protocol}": "vlan" 0 has no tag to carry it`);
  }
  return { id, qos: vlanQoS ?? 0, protocol };
}

const isVlanProtocol = (text: string): text is VlanProtocol => Object.hasOwn(VLAN_PROTOCOLS, text);

/** The kernel sets both at once: an absent one is 0. */
function planRate({ min_tx_rate: min, max_tx_rate: max }: SriovConf): VfChanges['rate'] {
  if (min === undefined && max === undefined) {
    return undefined;
  }
  const rate = { min: min ?? 0, max: max ?? 0 };
  if (rate.max !== 0 && rate.min > rate.max) {
    throw invalid(`cannot use "min_tx_rate" ${rate.min}: it is more than "max_tx_rate" ${rate.max}`);
  }
  return rate;
}

function planMtu({ mtu }: SriovConf): number | undefined {
  if (mtu !== 0 && mtu < LOWEST_MTU) {
    throw invalid(`cannot use "mtu" ${mtu}: it is less than ${LOWEST_MTU}`);
  }
  return mtu || undefined;
}

function readMac(text: string): Mac {
  const bytes = parseMac(text);
  const fault = ethernetMacFault(bytes);
  if (bytes === undefined || fault !== undefined) {
    throw invalid(`cannot use "mac" ${JSON.stringify(text)}: it ${fault}`);
  }
  return formatMac(bytes);
}

const invalid = (message: string): CniError => new CniError('invalidNetworkConfig', message);
