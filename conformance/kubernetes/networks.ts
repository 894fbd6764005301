/** Configurations of the tests, without what the flat file of whereabouts says. */
import type { Kubernetes } from './kubernetes.ts';
import { RAILS } from './wires.ts';

type Conf = Readonly<Record<string, unknown>>;

export const whereabouts = (range: string, more: Conf = {}): Conf => ({ type: 'whereabouts', range, ...more });

export const macvlan = (master: string, range: string): Conf => ({
  type: 'macvlan',
  master,
  mode: 'bridge',
  ipam: whereabouts(range),
});

/** The pods' own network, which all nodes share. */
export const POD_NETWORK: Conf = { name: 'pods', ...macvlan('eth0', '10.244.0.0/16') };

/** A network on each of the first rails: `net1` of a pod is on `rail0`, with an address of 10.6.0.0/24. */
export const railNetworks = (count: number): readonly Conf[] =>
  RAILS.slice(0, count).map((rail, index) => ({ name: `rail-${index}`, ...macvlan(rail, `10.6.${index}.0/24`) }));

export const conflist = ({ cniVersion }: Kubernetes, plugin: Conf): object => ({
  cniVersion,
  name: 'node',
  plugins: [plugin],
});

/** multus that gives every pod its own network and some rails. */
export const withRails = (kubernetes: Kubernetes, rails: number): object => {
  const { cniVersion } = kubernetes;
  const delegates = [POD_NETWORK, ...railNetworks(rails)].map((conf) => ({ cniVersion, ...conf }));
  return conflist(kubernetes, { type: 'multus', delegates });
};
