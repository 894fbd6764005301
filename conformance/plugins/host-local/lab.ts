/** host-local called by itself, ours or Go's, on a folder of the lab. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Env, Outcome } from '../../lab/execute.ts';
import { Lab } from '../../lab/lab.ts';
import { errorOf } from '../../lab/printed.ts';
import { type Call, OURS, type Side } from '../../lab/programs.ts';

/** Whether it is the plugin's own is all that is looked at: any other will do. */
const ANY_NETNS = '/proc/1/ns/net';

export const NETWORK = 'net-a';
export const RANGE = { ranges: [[{ subnet: '10.5.0.0/24' }]] };
export const DUAL = { ranges: [[{ subnet: '10.5.0.0/24' }], [{ subnet: 'fd05::/64' }]] };

export interface Request {
  readonly ifName?: string;
  readonly args?: string;
  readonly killAfterMs?: number;
  readonly env?: Env;
  /** more of the document, beside `ipam` */
  readonly document?: object;
  readonly ipam?: object;
}

/** One configuration in one lab. */
export class Network {
  readonly lab: Lab;
  readonly dataDir: string;
  readonly folder: string;
  private readonly ipam: object;

  constructor(lab: Lab, ipam: object, dataDir = lab.folder('store')) {
    this.lab = lab;
    this.dataDir = dataDir;
    this.folder = join(dataDir, NETWORK);
    this.ipam = ipam;
  }

  call(side: Side, verb: string, containerId: string, request: Request = {}): Promise<Outcome> {
    const { ifName = 'net1', args, killAfterMs, env = {}, document = {}, ipam = {} } = request;
    const keys = { type: 'host-local', dataDir: this.dataDir, ...this.ipam, ...ipam };
    const conf = { cniVersion: '1.1.0', name: NETWORK, type: 'macvlan', ipam: keys, ...document };
    const own = args === undefined ? {} : { args };
    const call = { verb, plugin: 'host-local', conf, netns: ANY_NETNS, containerId, ifName, env, ...own };
    return this.lab.call(call, side, killAfterMs === undefined ? {} : { killAfterMs });
  }

  /** A call with a document of its own, but for the folder. */
  raw(side: Side, call: Omit<Call, 'plugin' | 'conf'> & { readonly document: { readonly ipam: object } }) {
    const { document, ...others } = call;
    const conf = { ...document, ipam: { ...document.ipam, dataDir: this.dataDir } };
    return this.lab.call({ ...others, plugin: 'host-local', conf, netns: ANY_NETNS }, side);
  }

  /** @returns the addresses, without their prefix lengths */
  async add(containerId: string, request: Request = {}, side = OURS): Promise<readonly string[]> {
    const outcome = await this.call(side, 'ADD', containerId, request);
    expect(outcome).toMatchObject({ exitCode: 0 });
    return addressesOf(outcome);
  }

  async del(containerId: string, request: Request = {}, side = OURS): Promise<void> {
    expect(await this.call(side, 'DEL', containerId, request)).toMatchObject({ exitCode: 0, stdout: '' });
  }

  /** @returns the error of a call of ours that fails */
  async fails(verb: string, containerId: string, request: Request = {}) {
    return errorOf(await this.call(OURS, verb, containerId, request));
  }

  /** A file in the folder. */
  write(name: string, content: string): void {
    mkdirSync(this.folder, { recursive: true });
    writeFileSync(join(this.folder, name), content);
  }

  /** All files but ours alone and the lock, with their content. */
  files(): Readonly<Record<string, string>> {
    const all = existsSync(this.folder) ? readdirSync(this.folder) : [];
    const names = all.filter((name) => !['lock', '.owners'].includes(name));
    return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(this.folder, name), 'utf8')]));
  }

  /** Addresses by name, with their content. */
  held(): Readonly<Record<string, string>> {
    return Object.fromEntries(Object.entries(this.files()).filter(([name]) => !name.startsWith('last')));
  }
}

export const addressesOf = ({ stdout }: Outcome): readonly string[] =>
  (JSON.parse(stdout) as { ips: readonly { address: string }[] }).ips.map(({ address }) => address.replace(/\/.*/, ''));

/** Runs a test with a network of its own. */
export const withNetwork = (ipam: object, test: (network: Network) => Promise<void>) => async () => {
  await using lab = await Lab.open();
  await test(new Network(lab, ipam));
};
