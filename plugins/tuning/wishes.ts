import { macIn, parseCniArgs } from '../../lib/cni/args.ts';
import type { PodCall } from '../../lib/cni/call.ts';
import { CniError } from '../../lib/cni/errors.ts';
import type { LinkSettings } from '../../lib/link/settings.ts';
import { formatMac, isMulticastMac, type Mac, parseMac } from '../../lib/net/mac.ts';
import type { TuningConf } from './config.ts';
import { readSysctlName, type SysctlReading } from './sysctl-name.ts';

/** A sysctl that is to be set. */
export interface SysctlWish {
  /** as written */
  readonly name: string;
  readonly value: string;
  readonly readings: readonly SysctlReading[];
}

/** What an attachment shall have. */
export interface Wishes {
  readonly settings: LinkSettings;
  readonly sysctls: readonly SysctlWish[];
}

type Asked = Pick<PodCall<TuningConf>, 'conf' | 'args' | 'ifName'>;

/**
 * What the call asks for: `args.cni` beats the runtime, which beats CNI_ARGS, which beats the configuration. Pure.
 *
 * @throws CniError badEnv for CNI_ARGS, invalidNetworkConfig for all else
 */
export function wishesOf({ conf, args, ifName }: Asked): Wishes {
  const own = conf.args?.cni;
  const known = parseCniArgs(args, ['MAC']); // faults of it are told, whoever beats it
  const mac = readMac(own?.mac ?? (conf.runtimeConfig?.mac || macIn(known) || conf.mac));
  const [mtu, allmulti, txQLen] = [own?.mtu ?? conf.mtu, own?.allmulti ?? conf.allmulti, own?.txQLen ?? conf.txQLen];
  return {
    settings: {
      ...(mac === undefined ? {} : { mac }),
      ...((own?.promisc ?? conf.promisc) ? { isPromiscuous: true } : {}),
      ...(mtu === 0 ? {} : { mtu }),
      ...(allmulti === undefined ? {} : { isAllMulticast: allmulti }),
      ...(txQLen === undefined ? {} : { txQueueLength: txQLen }),
    },
    sysctls: merged(read(conf.sysctl, ifName), read(own?.sysctl ?? {}, ifName)),
  };
}

/** Also one of InfiniBand: whether the link can have it, only the link says. */
function readMac(text: string): Mac | undefined {
  if (text === '') {
    return undefined;
  }
  const bytes = parseMac(text);
  const fault =
    bytes === undefined
      ? 'is not a hardware address'
      : bytes.every((byte) => byte === 0)
        ? 'is all zero'
        : bytes.length === 6 && isMulticastMac(bytes)
          ? 'is a multicast address'
          : undefined;
  if (bytes === undefined || fault !== undefined) {
    throw new CniError('invalidNetworkConfig', `cannot use "mac" ${JSON.stringify(text)}: it ${fault}`);
  }
  return formatMac(bytes);
}

/** One that is written in two ways is one; it cannot have two values. */
function read(sysctls: Readonly<Record<string, string>>, ifName: string): readonly SysctlWish[] {
  const wishes = Object.entries(sysctls).map(([name, value]) => wishOf(name, value, ifName));
  return wishes.filter((wish, index) => {
    const same = wishes.slice(0, index).find((one) => isSameSysctl(one, wish));
    if (same !== undefined && same.value !== wish.value) {
      throw refusal(wish.name, `"${same.name}" is the same one, and shall be ${JSON.stringify(same.value)}`);
    }
    return same === undefined;
  });
}

function wishOf(name: string, value: string, ifName: string): SysctlWish {
  const readings = readSysctlName(name, ifName);
  if (typeof readings === 'string') {
    throw refusal(name, `it ${readings}`);
  }
  if (value === '' || value.includes('\0')) {
    throw refusal(name, `its value ${value === '' ? 'is empty' : 'has a NUL in it'}`);
  }
  return { name, value, readings };
}

/** Those of an attachment take the place of those of the network. */
const merged = (network: readonly SysctlWish[], own: readonly SysctlWish[]): readonly SysctlWish[] => [
  ...network.filter((wish) => !own.some((one) => isSameSysctl(one, wish))),
  ...own,
];

const isSameSysctl = (a: SysctlWish, b: SysctlWish): boolean =>
  a.readings.some(({ path }) => b.readings.some((other) => other.path === path));

const refusal = (name: string, why: string): CniError =>
  new CniError('invalidNetworkConfig', `cannot use "sysctl" ${JSON.stringify(name)}: ${why}`);
