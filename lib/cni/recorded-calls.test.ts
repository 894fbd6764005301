import { describe, expect, it } from 'vitest';
import { parseCniArgs } from './args.ts';
import type { DeletionCall } from './call.ts';
import { checkEnvironment, readCall } from './read-call.ts';
import { Stdin } from './stdin.ts';
import { callsFor, RECORDED } from './testing/recorded-calls.ts';

const KEYS = ['K8S_POD_NAMESPACE', 'K8S_POD_NAME', 'K8S_POD_INFRA_CONTAINER_ID', 'K8S_POD_UID'];

describe.each(RECORDED)('a call of $runtime', (recorded) => {
  const read = ({ env, stdin }: (typeof recorded.calls)[number]) =>
    readCall(env, Stdin.of(Buffer.from(JSON.stringify(stdin))));

  it('is one, whatever the verb', () => {
    for (const call of recorded.calls) {
      expect(() => checkEnvironment(call.env)).not.toThrow();
      expect(read(call)).toMatchObject({ verb: call.env['CNI_COMMAND'], network: 'node', path: ['/lab/bin'] });
    }
  });

  it('names the same pod in whatever order CNI_ARGS come', () => {
    const all = ['ADD', 'DEL'].flatMap((verb) => callsFor(recorded, verb, 'rich'));
    expect(new Set(all.map(({ env }) => env['CNI_ARGS'])).size).toBeGreaterThan(1);
    const pods = all.map(({ env }) => parseCniArgs(env['CNI_ARGS'] ?? '', KEYS));
    for (const pod of pods) {
      expect(pod).toEqual({
        K8S_POD_NAMESPACE: 'lab',
        K8S_POD_NAME: 'rich',
        K8S_POD_UID: 'uid-rich',
        K8S_POD_INFRA_CONTAINER_ID: all[0]?.env['CNI_CONTAINERID'],
      });
    }
  });

  it('DEL comes three times: with a namespace once, then with an empty path and without prevResult', () => {
    const [first, ...later] = callsFor(recorded, 'DEL', 'rich').map((call) => read(call) as DeletionCall);
    expect(first?.netnsPath).toMatch(/^\/var\/run\/netns\/cni-/);
    expect(first?.document['prevResult']).toBeDefined();
    expect(later.map(({ netnsPath, document }) => [netnsPath, document['prevResult']])).toEqual([
      [undefined, undefined],
      [undefined, undefined],
    ]);
  });
});

it('STATUS comes with variables that are set and empty', () => {
  const calls = RECORDED.flatMap((recorded) => recorded.calls).filter(({ env }) => env['CNI_COMMAND'] === 'STATUS');
  expect(
    calls.map(({ env }) => [env['CNI_ARGS'], env['CNI_CONTAINERID'], env['CNI_IFNAME'], env['CNI_NETNS']]),
  ).toEqual([['', '', '', '']]);
});
