import { describe, expect, it } from 'vitest';
import { parseNetwork } from '../../../lib/cni/network-list.ts';
import { unheeded } from './capabilities.ts';

const network = (...plugins: readonly object[]) =>
  parseNetwork({
    name: 'a',
    plugins: plugins.map((capabilities) => ({ type: 'x', capabilities: { ...capabilities } })),
  });

describe('unheeded', () => {
  const asked = { portMappings: [{ hostPort: 80 }], mac: '02:00:00:00:00:01', ips: ['192.0.2.1/24'] };

  it('names what no plugin has, in order', () => {
    expect(unheeded(network({}), asked)).toEqual(['ips', 'mac', 'portMappings']);
    expect(unheeded(network({ ips: false }, { mac: true }), asked)).toEqual(['ips', 'portMappings']);
    expect(unheeded(network({ ips: true, portMappings: true }, { mac: true }), asked)).toEqual([]);
    expect(unheeded(parseNetwork({ name: 'a', type: 'x', capabilities: { ips: true } }), asked)).toEqual([
      'mac',
      'portMappings',
    ]);
  });

  it('passes over what is empty', () => {
    expect(
      unheeded(network({}), { ips: [], mac: '', bandwidth: {}, deviceID: undefined, infinibandGUID: null }),
    ).toEqual([]);
    expect(unheeded(network({}), { bandwidth: { ingressRate: 0 } })).toEqual(['bandwidth']);
  });
});
