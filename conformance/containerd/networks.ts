/** Configurations of the tests: networks on the NICs of the node. */
import { PARENT } from '../lab/lab.ts';
import type { Site } from './site.ts';

type Conf = Readonly<Record<string, unknown>>;

const RANGE = '10.5.0.0/24';

export const whereabouts = (range = RANGE, more: Conf = {}): Conf => ({
  type: 'whereabouts',
  datastore: 'file',
  range,
  ...more,
});

export const macvlan = (more: Conf = {}): Conf => ({ type: 'macvlan', master: PARENT, ipam: whereabouts(), ...more });

/** Rails: each a NIC of its own and a range of its own, `10.6.<rail>.0/24`. */
export const makeRails = (site: Site, count: number): Promise<void> =>
  makeNics(
    site,
    Array.from({ length: count }, (_, rail) => `rail${rail}`),
  );

/** NICs of the node, up, each with its other end. */
export async function makeNics({ lab }: Site, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await lab.ip(lab.node, `link add ${name} type veth peer name ${name}-port`);
    await lab.ip(lab.node, `link set ${name} up`);
    await lab.ip(lab.node, `link set ${name}-port up`);
  }
}

/** multus with a rail for each network. */
export const multus = ({ cniVersion, bin }: Site, rails: number, more: Conf = {}) => ({
  type: 'multus',
  binDir: bin,
  delegates: Array.from({ length: rails }, (_, rail) => ({
    cniVersion,
    name: `rail-${rail}`,
    ...macvlan({ master: `rail${rail}`, ipam: whereabouts(`10.6.${rail}.0/24`) }),
  })),
  ...more,
});

/** What multus calls the interface of a network. */
export const railName = (rail: number): string => (rail === 0 ? 'eth0' : `net${rail}`);
