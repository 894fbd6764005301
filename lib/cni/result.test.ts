import { describe, expect, it } from 'vitest';
import { compact } from './json.ts';
import { formatResult, parseResult, type Result } from './result.ts';
import type { Version } from './versions.ts';

const full: Result = {
  interfaces: [{ name: 'net1', mac: '02:00:00:00:00:01', mtu: 1400, sandbox: '/n', pciID: '0000:01:00.0' }],
  ips: [{ address: '192.0.2.5/24', gateway: '192.0.2.1', interface: 0 }, { address: '2001:db8::5/64' }],
  routes: [{ dst: '0.0.0.0/0', gw: '192.0.2.1', mtu: 1300, priority: 5, table: 0, scope: 0 }, { dst: '::/0' }],
  dns: { nameservers: ['192.0.2.53'], domain: 'example.org' },
};

const golden: readonly (readonly [Version, string])[] = [
  [
    '1.1.0',
    '{"cniVersion":"1.1.0","dns":{"domain":"example.org","nameservers":["192.0.2.53"]},"interfaces":[{"mac":"02:00:00:00:00:01","mtu":1400,"name":"net1","pciID":"0000:01:00.0","sandbox":"/n"}],"ips":[{"address":"192.0.2.5/24","gateway":"192.0.2.1","interface":0},{"address":"2001:db8::5/64"}],"routes":[{"dst":"0.0.0.0/0","gw":"192.0.2.1","mtu":1300,"priority":5,"scope":0,"table":0},{"dst":"::/0"}]}',
  ],
  [
    '0.4.0',
    '{"cniVersion":"0.4.0","interfaces":[{"name":"net1","mac":"02:00:00:00:00:01","sandbox":"/n"}],"ips":[{"version":"4","interface":0,"address":"192.0.2.5/24","gateway":"192.0.2.1"},{"version":"6","address":"2001:db8::5/64"}],"routes":[{"dst":"0.0.0.0/0","gw":"192.0.2.1","mtu":1300,"priority":5,"table":0,"scope":0},{"dst":"::/0"}],"dns":{"nameservers":["192.0.2.53"],"domain":"example.org"}}',
  ],
  [
    '0.2.0',
    '{"cniVersion":"0.2.0","ip4":{"ip":"192.0.2.5/24","gateway":"192.0.2.1","routes":[{"dst":"0.0.0.0/0","gw":"192.0.2.1"}]},"ip6":{"ip":"2001:db8::5/64","routes":[{"dst":"::/0"}]},"dns":{"nameservers":["192.0.2.53"],"domain":"example.org"}}',
  ],
];

describe('formatResult', () => {
  it.each(golden)('prints version %s with its keys in its order', (version, text) => {
    expect(compact(formatResult(full, version))).toBe(text);
  });

  it.each(golden)('makes of version %s what its reader gets: callers in this process read no text', (version) => {
    const made = formatResult(full, version);
    expect(made).toStrictEqual(JSON.parse(compact(made)));
  });

  it('leaves empty lists out, and keeps empty dns before 1.0.0 only', () => {
    const empty = { interfaces: [], ips: [], routes: [], dns: {} };
    expect(compact(formatResult(empty, '1.0.0'))).toBe('{"cniVersion":"1.0.0"}');
    expect(compact(formatResult(empty, '0.3.1'))).toBe('{"cniVersion":"0.3.1","dns":{}}');
  });

  it('cannot print a result without addresses as 0.1.0', () => {
    expect(() => formatResult({ ...full, ips: [] }, '0.1.0')).toThrow('no valid IP');
  });
});

describe('parseResult', () => {
  it.each(golden)('reads back what was printed as %s', (version, text) => {
    const { version: read, ...result } = parseResult(JSON.parse(text), '1.1.0');
    expect(read).toBe(version);
    expect(compact(formatResult(result, version))).toBe(text);
  });

  it('takes the version of the configuration when there is none, and null for nothing', () => {
    expect(parseResult({}, '0.3.1')).toMatchObject({ version: '0.3.1', ips: [] });
    expect(parseResult(null, '1.0.0').interfaces).toEqual([]);
  });

  it.each([
    [{ ips: [{ address: '192.0.2.5' }] }, 'ips[0].address'],
    [{ ips: [{ address: '192.0.2.5/24', gateway: '1.2.3' }] }, 'ips[0].gateway'],
    [{ ips: [{ address: '192.0.2.5/24', interface: '0' }] }, 'ips[0].interface'],
    [{ routes: [{ dst: 'x' }] }, 'result.routes[0].dst'],
    [{ routes: {} }, 'result.routes'],
    [{ dns: { nameservers: 'x' } }, 'result.dns.nameservers'],
    [{ interfaces: [null] }, 'interfaces[0]'],
    ['text', 'result'],
  ])('refuses %j and names the key', (value, key) => {
    expect(() => parseResult(value as never, '1.0.0')).toThrow(`"${key}"`);
  });
});
