import { describe, expect, it } from 'vitest';
import { readConf } from '../../lib/cni/config.ts';
import { fakeNode } from '../../lib/cni/testing/fake-node.ts';
import { callsFor, RECORDED, type RecordedCall } from '../../lib/cni/testing/recorded-calls.ts';
import { MacvlanConf } from './config.ts';
import { macvlan } from './plugin.ts';

describe.each(RECORDED)('macvlan called by $runtime', (recorded) => {
  it('reads a runtimeConfig with capitals and nulls in it', () => {
    for (const { stdin } of recorded.calls) {
      expect(readConf(MacvlanConf, stdin).runtimeConfig?.mac ?? '').toBe('');
    }
  });

  it('gives the addresses back at each DEL with an empty namespace path', async () => {
    using node = fakeNode(['alpha']);
    const [, ...dels] = callsFor(recorded, 'DEL', 'plain');
    for (const { env, stdin } of dels as readonly RecordedCall[]) {
      const document = { ...stdin, ipam: { type: 'alpha' } };
      expect(await node.run(macvlan, 'DEL', document, { ...env, CNI_PATH: node.binDir })).toMatchObject({
        exitCode: 0,
      });
    }
    expect(node.log()).toEqual(['DEL alpha eth0', 'DEL alpha eth0']);
  });
});
