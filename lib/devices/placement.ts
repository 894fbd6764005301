/** Which devices of a resource a container gets, where the kubelet leaves the choice to us. */
import type { DeviceFacts } from './facts.ts';
import type { PreferenceRequest } from './kubelet/messages.ts';

export const POLICIES = ['', 'packed', 'balanced', 'near'] as const;
/**
 * `packed`: of as few cards as possible, those that are used most first; `balanced`: of the cards that are used least;
 * `near`: as few steps from each other, and from what the pod has of other resources, in the tree of PCI as possible, and
 * of one NUMA node. '': any.
 */
export type Policy = (typeof POLICIES)[number];

export type Placed = Pick<DeviceFacts, 'id' | 'place' | 'numaNode' | 'pfAddress' | 'pciAddress'>;

/** More than any path of PCI has. */
const OTHER_NUMA_NODE = 1_000;

/**
 * Steps from one device to another: up to the bridge that both are behind, and down again.
 *
 * @returns more by a lot for devices of different NUMA nodes
 */
export function distance(a: Placed, b: Placed): number {
  const [left, right] = [a.place.split('/'), b.place.split('/')];
  const fork = left.findIndex((part, at) => part !== right[at]);
  const common = fork < 0 ? left.length : fork;
  const isFar = a.numaNode !== undefined && b.numaNode !== undefined && a.numaNode !== b.numaNode;
  return left.length + right.length - 2 * common + (isFar ? OTHER_NUMA_NODE : 0);
}

/**
 * Devices for one container: those that must be among them, and others by the policy.
 *
 * @param companions what the pod has already of other resources
 */
export function choose(
  policy: Policy,
  devices: ReadonlyMap<string, Placed>,
  { availableDeviceIDs, mustIncludeDeviceIDs, allocationSize }: PreferenceRequest,
  companions: readonly Placed[] = [],
): readonly string[] {
  const placed = (ids: readonly string[]): readonly Placed[] => ids.flatMap((id) => devices.get(id) ?? []);
  const must = placed(mustIncludeDeviceIDs);
  const free = placed([...availableDeviceIDs].sort()).filter(({ id }) => !mustIncludeDeviceIDs.includes(id));
  const count = Math.max(0, allocationSize - mustIncludeDeviceIDs.length);
  const more = PICKS[policy](policy === 'near' ? [...must, ...companions] : must, free, count);
  return [...mustIncludeDeviceIDs, ...more.map(({ id }) => id)];
}

/** @returns as many as are wanted, or all that are free */
type Choice = (must: Devices, free: Devices, count: number) => Devices;
type Devices = readonly Placed[];

const PICKS: Readonly<Record<Policy, Choice>> = {
  '': (_, free, count) => free.slice(0, count),
  packed,
  balanced: (_, free, count) => balanced(free).slice(0, count),
  near,
};

const cardOf = ({ pfAddress, pciAddress }: Placed): string => pfAddress || pciAddress;
const cardsOf = (devices: Devices): readonly Devices[] => [...Map.groupBy(devices, cardOf).values()];

/** The card in use, then the fullest that has enough, then the emptiest. */
function packed(must: Devices, free: Devices, count: number): Devices {
  if (count <= 0 || free.length === 0) {
    return [];
  }
  const used = new Set(must.map(cardOf));
  const cards = cardsOf(free).toSorted((a, b) => a.length - b.length);
  const card =
    cards.find((one) => one.some((device) => used.has(cardOf(device)))) ?? cards.find((one) => one.length >= count);
  const taken = (card ?? cards.at(-1) ?? []).slice(0, count);
  const left = free.filter((device) => !taken.includes(device));
  return [...taken, ...packed(must, left, count - taken.length)];
}

/** The card with the most free ones gives the next. */
function balanced(free: Devices): Devices {
  const ranked = cardsOf(free).flatMap((card) => card.map((device, at) => ({ device, left: card.length - at })));
  return ranked.toSorted((a, b) => b.left - a.left).map(({ device }) => device);
}

/** The group with the fewest steps between its members: begun at each card, and grown by the nearest each time. */
function near(must: Devices, free: Devices, count: number): Devices {
  if (must.length > 0 || count === 0) {
    return grown(must, free, count).group;
  }
  const groups = cardsOf(free).map(([seed]) =>
    grown(
      seed === undefined ? [] : [seed],
      free.filter((one) => one !== seed),
      count - 1,
      seed,
    ),
  );
  return groups.reduce((a, b) => (b.steps < a.steps ? b : a), { group: [] as Devices, steps: Number.POSITIVE_INFINITY })
    .group;
}

function grown(begun: Devices, free: Devices, count: number, seed?: Placed) {
  const stepsTo = new Map(free.map((one) => [one, begun.reduce((sum, to) => sum + distance(one, to), 0)]));
  const group = seed === undefined ? [] : [seed];
  let steps = 0;
  for (let left = count; left > 0 && stepsTo.size > 0; left--) {
    const [next, more] = [...stepsTo].reduce((a, b) => (b[1] < a[1] ? b : a));
    stepsTo.delete(next);
    group.push(next);
    steps += more;
    for (const [one, before] of stepsTo) {
      stepsTo.set(one, before + distance(one, next));
    }
  }
  return { group, steps };
}
