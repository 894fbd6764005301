import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../lib/cni/json.ts';
import { fakeScope } from '../../lib/cni/testing/fake-scope.ts';
import type { Netns } from '../../lib/netns/netns.ts';
import { examine } from './examine.ts';

const examined = (...confs: readonly JsonObject[]) => ({ confs, records: [], isGone: () => false });
const network = (name: string, table?: number) => ({ type: 'sbr', name, ...(table === undefined ? {} : { table }) });

const kernel = (dump: () => Promise<readonly unknown[]>) =>
  fakeScope({ node: { host: { netlink: { dump } } as unknown as Netns } });

describe('doctor', () => {
  it('finds tables that several networks use', async () => {
    const confs = [
      network('a', 200),
      network('b', 200),
      network('a', 200),
      network('c', 201),
      network('d'),
      network('e'),
    ];
    const findings = await examine(
      kernel(async () => []),
      examined(...confs, { type: 'macvlan', name: 'f', table: 201 }),
    );
    expect(findings.map(({ level, text }) => [level, text])).toEqual([
      ['warning', 'networks "a", "b" use table 200: what a pod of several of them sends leaves by the routes of one'],
    ]);
  });

  it('finds a kernel without rules, and asks it for networks with sbr alone', async () => {
    const scope = kernel(async () => {
      throw new Error('EOPNOTSUPP');
    });
    expect((await examine(scope, examined(network('a')))).map(({ level, text }) => [level, text])).toEqual([
      ['fault', 'pods of networks with sbr fail: this kernel has no routing by rules: EOPNOTSUPP'],
    ]);
    expect(await examine(scope, examined({ type: 'macvlan', name: 'a' }))).toEqual([]);
  });
});
