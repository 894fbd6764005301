import { macOf } from '../net/mac.ts';
import { attributeOf, type BusDevice } from '../sys/bus-device.ts';
import type { VfFacts } from './vf-facts.ts';

/**
 * The drivers of NVIDIA's own distribution show `sriov/<n>/config` below the PF, for as many VFs as there are.
 *
 * @returns undefined when it is not there, or cannot be read: what is not known could not be restored
 */
export function vfInSysfs(device: BusDevice | undefined, number: number): VfFacts | undefined {
  const text = device === undefined ? undefined : attributeOf(device, `sriov/${number}/config`);
  if (text === undefined) {
    return undefined;
  }
  const lines = new Map(text.split('\n').map((line) => splitAt(line, line.indexOf(':'))));
  const value = (key: string): string => lines.get(key.toLowerCase()) ?? '';
  const mac = macOf(value('MAC'));
  const numbers = ['VLAN', 'QoS', 'MinTxRate', 'MaxTxRate'].map((key) => Number(value(key) || 0));
  if (mac === undefined || numbers.some(Number.isNaN)) {
    return undefined;
  }
  const [id = 0, qos = 0, min = 0, max = 0] = numbers;
  return {
    number,
    mac,
    vlan: { id, qos, protocol: value('VLAN Proto').toLowerCase() === '802.1ad' ? '802.1ad' : '802.1q' },
    spoofCheck: onOff(value('SpoofCheck')),
    trust: onOff(value('Trust')),
    rate: { min, max },
    linkState: value('LinkState') === 'Up' ? 'enable' : value('LinkState') === 'Down' ? 'disable' : 'auto',
  };
}

const splitAt = (line: string, colon: number): readonly [string, string] => [
  line.slice(0, Math.max(colon, 0)).trim().toLowerCase(),
  line.slice(colon + 1).trim(),
];

const onOff = (word: string): boolean | undefined => (word === '' ? undefined : word.toUpperCase() === 'ON');
