import { describe, expect, it } from 'vitest';
import type { Located } from '../../lib/cli/located.ts';
import type { SeenNetns } from '../../lib/cli/namespaces.ts';
import type { Container } from '../../lib/cli/scan.ts';
import { audit, type Known } from './audit.ts';
import { storedRange } from './names.ts';
import { type PoolView, viewOf } from './pool-view.ts';
import { ip } from './testing/fixtures.ts';

/** The pool of a network, with 10.0.0.1 held by a container. */
function pool(networkName: string, containerId: string): PoolView {
  const cidr = storedRange('10.0.0.0/24');
  const entry = { id: containerId, podref: '', ifname: 'net1' };
  const held = [{ range: '10.0.0.0/24', ip: ip('10.0.0.1'), entry }];
  return viewOf({ kind: 'file', dataDir: '/d', networkName }, { range: '10.0.0.0/24', cidr, held }, []);
}

const container = (containerId: string, state: Container['state'] = 'live'): Container => ({
  containerId,
  records: [],
  state,
  reason: 'the reason',
});

const home = (containerId: string): Located => ({
  containerId,
  ifName: 'net1',
  addresses: ['10.0.0.1'],
  netns: { path: `/run/netns/${containerId}`, identity: containerId },
});

/** A namespace that has 10.0.0.1. */
const user = (identity: string, more: Partial<SeenNetns> = {}): SeenNetns => ({
  path: `/run/netns/${identity}`,
  identity,
  isHost: false,
  hasProcesses: true,
  links: [],
  addresses: [{ text: '10.0.0.1', prefix: 24, linkIndex: 2 }],
  ...more,
});

const known = (...ids: readonly string[]): Known => ({
  containers: ids.map((id) => container(id)),
  located: ids.map(home),
  namespaces: ids.map((id) => user(id)),
});

const kinds = (views: readonly PoolView[], facts: Known) => audit(views, facts).map(({ kind }) => kind);

describe('audit', () => {
  it('finds an address that two pods of a network have', () => {
    expect(audit([pool('blue', 'a')], known('a', 'b'))).toMatchObject([
      { kind: 'duplicate', text: '10.0.0.1 is in use twice: in "/run/netns/a" and in "/run/netns/b"' },
    ]);
  });
  it('lets separate networks use the same addresses', () => {
    expect(kinds([pool('blue', 'a'), pool('red', 'b')], known('a', 'b'))).toEqual([]);
    expect(kinds([pool('blue', 'a'), pool('red', 'b')], known('a', 'b', 'c'))).toEqual(['duplicate', 'duplicate']);
  });
  it('counts the node itself, and no namespace of others', () => {
    const facts = known('a');
    const others = [user('foreign'), user('host', { isHost: true, path: '/proc/1/ns/net' })];
    expect(audit([pool('blue', 'a')], { ...facts, namespaces: [...facts.namespaces, ...others] })).toMatchObject([
      { kind: 'duplicate', text: '10.0.0.1 is in use twice: in "/run/netns/a" and on the node itself' },
    ]);
  });
  it.each([
    ['live', []],
    ['in-use', []],
    ['dead', ['leak']],
    ['suspect', ['unclear']],
    ['unclear', ['unclear']],
  ] as const)('calls the reservation of a container that is %s %o', (state, expected) => {
    expect(kinds([pool('', 'a')], { containers: [container('a', state)], located: [], namespaces: [] })).toEqual(
      expected,
    );
  });
});
