/** whereabouts with the "file" datastore, called by itself. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Env, Outcome } from './execute.ts';
import { Lab } from './lab.ts';
import { errorOf } from './printed.ts';
import { OURS, type Side } from './programs.ts';

/** The database of a folder that has one. */
export function databaseIn(folder: string): string {
  const path = findDatabase(folder);
  if (path === undefined) {
    throw new Error(`there is no database in ${folder}`);
  }
  return path;
}

export function findDatabase(folder: string): string | undefined {
  const name = readdirSync(folder).find((one) => /^whereabouts-.*\.db$/.test(one));
  return name === undefined ? undefined : join(folder, name);
}

/** It only looks whether the namespace is its own: any other will do. */
const ANY_NETNS = '/proc/1/ns/net';

export interface Request {
  readonly ifName?: string;
  readonly args?: string;
  readonly killAfterMs?: number;
  /** more variables */
  readonly env?: Env;
  /** more of the document, beside `ipam` */
  readonly document?: object;
}

interface Printed {
  readonly ips?: readonly { readonly address: string; readonly gateway?: string }[];
}

/** One configuration of whereabouts in one lab. */
export class Store {
  readonly lab: Lab;
  readonly folder: string;
  private readonly ipam: object;
  private readonly side: Side;

  constructor(lab: Lab, ipam: object, side = OURS) {
    this.lab = lab;
    this.folder = lab.folder('store');
    this.ipam = { type: 'whereabouts', datastore: 'file', data_dir: this.folder, ...ipam };
    this.side = side;
  }

  /** The same store with another configuration. */
  with(ipam: object): Store {
    return new Store(this.lab, { ...this.ipam, ...ipam }, this.side);
  }

  call(
    verb: string,
    containerId: string,
    { ifName = 'net1', args, killAfterMs, env = {}, document = {} }: Request = {},
  ): Promise<Outcome> {
    const conf = { cniVersion: '1.1.0', name: 'net-a', type: 'macvlan', ipam: this.ipam, ...document };
    const own = args === undefined ? {} : { args };
    const call = { verb, plugin: 'whereabouts', conf, netns: ANY_NETNS, containerId, ifName, env, ...own };
    return this.lab.call(call, this.side, killAfterMs === undefined ? {} : { killAfterMs });
  }

  /** @returns the addresses, with their prefix lengths */
  async add(containerId: string, request: Request = {}): Promise<readonly string[]> {
    const outcome = await this.call('ADD', containerId, request);
    expect(outcome).toMatchObject({ exitCode: 0 });
    return (JSON.parse(outcome.stdout) as Printed).ips?.map(({ address }) => address) ?? [];
  }

  async del(containerId: string, request: Request = {}): Promise<void> {
    expect(await this.call('DEL', containerId, request)).toMatchObject({ exitCode: 0, stdout: '' });
  }

  /** @returns the error of a call that fails */
  async fails(verb: string, containerId: string, request: Request = {}) {
    return errorOf(await this.call(verb, containerId, request));
  }
}

export const podArgs = (name: string, namespace = 'lab'): string =>
  `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_UID=u-${name}`;

export const RANGE = { range: '10.5.0.0/24' };
export const DUAL = { ipRanges: [{ range: '10.5.0.0/24' }, { range: 'fd05::/120' }] };

/** Runs a test with a store of its own. */
export const withStore = (ipam: object, test: (store: Store) => Promise<void>) => async () => {
  await using lab = await Lab.open();
  await test(new Store(lab, ipam));
};
