/** A pod with interfaces as the plugins before sbr leave them, and calls of sbr about them. */
import type { Outcome } from '../../lab/execute.ts';
import { Lab, type Pod } from '../../lab/lab.ts';
import { OURS, type Side } from '../../lab/programs.ts';
import { type Entry, rulesOf, stateOf } from '../../lab/state.ts';

/** An address and its gateway. */
export type Given = readonly [address: string, gateway?: string];

/** `ip` commands that make an interface, up and with addresses. */
export const interfaceOf = (name: string, addresses: readonly Given[]): readonly string[] => [
  `link add ${name} type veth peer name ${name}p`,
  `link set ${name}p up`,
  `link set ${name} up`,
  ...addresses.map(([address]) => `addr add ${address} dev ${name}`),
];

/** The result of the plugin that made it. */
export function resultOf(version: string, name: string, addresses: readonly Given[], sandbox = '/pod'): object {
  const isIpv6 = (address: string) => address.includes(':');
  if (version < '0.3') {
    const part = (wanted: boolean) => {
      const found = addresses.find(([address]) => isIpv6(address) === wanted);
      return found && { ip: found[0], ...(found[1] === undefined ? {} : { gateway: found[1] }) };
    };
    return { cniVersion: version, ip4: part(false), ip6: part(true), dns: {} };
  }
  const ips = addresses.map(([address, gateway]) => ({
    ...(version < '1' ? { version: isIpv6(address) ? '6' : '4' } : {}),
    interface: 0,
    address,
    ...(gateway === undefined ? {} : { gateway }),
  }));
  return { cniVersion: version, interfaces: [{ name, sandbox }], ips, dns: {} };
}

export class RoutedPod implements AsyncDisposable {
  readonly lab: Lab;
  readonly pod: Pod;

  private constructor(lab: Lab, pod: Pod) {
    this.lab = lab;
    this.pod = pod;
  }

  static async open(): Promise<RoutedPod> {
    const lab = await Lab.open();
    return new RoutedPod(lab, await lab.pod());
  }

  async ip(...commands: readonly string[]): Promise<void> {
    for (const command of commands) {
      await this.lab.ip(this.pod.name, command);
    }
  }

  call(
    verb: string,
    name: string,
    addresses: readonly Given[],
    { side = OURS, version = '1.1.0', more = {}, env = {}, netns = this.pod.path }: CallOptions = {},
  ): Promise<Outcome> {
    const prevResult = resultOf(version, name, addresses, this.pod.path);
    const conf = { cniVersion: version, name: `net-${name}`, type: 'sbr', prevResult, ...more };
    return this.lab.call({ verb, plugin: 'sbr', conf, ifName: name, netns, env }, side);
  }

  /** `10.1.2.3 100`: source and table of every rule but the system's */
  async rules(): Promise<readonly string[]> {
    const rules = await rulesOf(this.pod.name);
    return rules.filter(({ src }) => src !== 'all').map(({ src, table }) => `${String(src)} ${String(table)}`);
  }

  /** The routes in tables of this kind; those of the system have names, and the main one none. */
  async tables(): Promise<readonly Entry[]> {
    const { routes } = await stateOf(this.pod.name);
    return routes.filter(({ table }) => /^\d+$/.test(String(table ?? '')));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.lab[Symbol.asyncDispose]();
  }
}

interface CallOptions {
  readonly side?: Side;
  readonly version?: string;
  /** of the configuration; undefined takes a key away */
  readonly more?: object;
  readonly env?: Readonly<Record<string, string>>;
  readonly netns?: string;
}
