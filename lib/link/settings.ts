import { type Mac, macBytes } from '../net/mac.ts';
import { encodeLink, IFF_ALLMULTI, IFF_PROMISC, type LinkAttributes, RTM_SETLINK } from '../netlink/codec/link.ts';
import type { Conversation } from '../netlink/conversation.ts';
import type { LinkRef } from './addressing.ts';
import type { DeviceFacts } from './device.ts';

/** Attributes of a link of any kind that can be changed later; of those that are absent nothing is said. */
export interface LinkSettings {
  readonly mac?: Mac;
  readonly isPromiscuous?: boolean;
  readonly mtu?: number;
  readonly isAllMulticast?: boolean;
  readonly txQueueLength?: number;
}

type Key = keyof LinkSettings;

/** In the order in which they are changed one by one. */
const KEYS: readonly Key[] = ['mac', 'isPromiscuous', 'mtu', 'isAllMulticast', 'txQueueLength'];

const NO_MAC = /^(00:)*00$/;

/**
 * What a device has. The two modes are what was asked of the link: those that sniffers need count apart. An address of
 * zeros is none: it cannot be given back.
 */
export const settingsOf = ({ mac, flags, mtu, txQueueLength }: DeviceFacts): LinkSettings => ({
  ...(mac === '' || NO_MAC.test(mac) ? {} : { mac }),
  isPromiscuous: (flags & IFF_PROMISC) !== 0,
  mtu,
  isAllMulticast: (flags & IFF_ALLMULTI) !== 0,
  txQueueLength,
});

/** Those of `settings` that `there` does not have. */
export const settingsMissing = (settings: LinkSettings, there: LinkSettings): LinkSettings =>
  pick(
    settings,
    KEYS.filter((key) => settings[key] !== undefined && settings[key] !== there[key]),
  );

/** The same settings as `keys` has, with the values of `settings`. */
export const settingsLike = (settings: LinkSettings, keys: LinkSettings): LinkSettings =>
  pick(
    settings,
    KEYS.filter((key) => keys[key] !== undefined && settings[key] !== undefined),
  );

export const hasSettings = (settings: LinkSettings): boolean => KEYS.some((key) => settings[key] !== undefined);

/**
 * Changes a link with one request. What the kernel had accepted before it refused the rest stays.
 *
 * @throws ErrnoError
 */
export async function changeSettings(netlink: Conversation, link: LinkRef, settings: LinkSettings): Promise<void> {
  if (!hasSettings(settings)) {
    return;
  }
  const [flags, change] = flagsOf(settings);
  await netlink.change({
    type: RTM_SETLINK,
    body: encodeLink({ index: link.index, flags, change }, attributesOf(settings)),
    operation: `set ${settingsText(settings)} of link "${link.name}"`,
  });
}

/** The settings one by one, each with nothing else. */
export const oneByOne = (settings: LinkSettings): readonly LinkSettings[] =>
  KEYS.filter((key) => settings[key] !== undefined).map((key) => pick(settings, [key]));

const TEXTS: Readonly<Record<Key, (settings: LinkSettings) => string>> = {
  mac: ({ mac }) => `the hardware address ${mac}`,
  isPromiscuous: ({ isPromiscuous }) => `promiscuous mode ${onOff(isPromiscuous)}`,
  mtu: ({ mtu }) => `the MTU ${mtu}`,
  isAllMulticast: ({ isAllMulticast }) => `all-multicast mode ${onOff(isAllMulticast)}`,
  txQueueLength: ({ txQueueLength }) => `the transmit queue length ${txQueueLength}`,
};

/** The settings in words, for people: `the MTU 1400`. */
export const settingsText = (settings: LinkSettings): string =>
  KEYS.filter((key) => settings[key] !== undefined)
    .map((key) => TEXTS[key](settings))
    .join(', ');

const onOff = (isOn: boolean | undefined): string => (isOn ? 'on' : 'off');

const pick = (settings: LinkSettings, keys: readonly Key[]): LinkSettings =>
  Object.fromEntries(keys.map((key) => [key, settings[key]]));

const attributesOf = ({ mac, mtu, txQueueLength }: LinkSettings): LinkAttributes => ({
  ...(mac === undefined ? {} : { address: macBytes(mac) }),
  ...(mtu === undefined ? {} : { mtu }),
  ...(txQueueLength === undefined ? {} : { txQueueLength }),
});

/** IFF_… and which of them are meant */
function flagsOf({ isPromiscuous, isAllMulticast }: LinkSettings): readonly [number, number] {
  const modes = [
    [IFF_PROMISC, isPromiscuous],
    [IFF_ALLMULTI, isAllMulticast],
  ] as const;
  const sum = (list: readonly (readonly [number, unknown])[]): number => list.reduce((all, [flag]) => all | flag, 0);
  return [sum(modes.filter(([, isOn]) => isOn)), sum(modes.filter(([, isOn]) => isOn !== undefined))];
}
