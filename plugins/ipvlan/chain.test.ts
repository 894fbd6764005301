import { describe, expect, it } from 'vitest';
import type { PodCall } from '../../lib/cni/call.ts';
import { readConf } from '../../lib/cni/config.ts';
import { demandAddresses, inherited, masterOf } from './chain.ts';
import { IpvlanConf } from './config.ts';

const ADDRESS = { address: '10.1.2.3/24', gateway: '10.1.2.1' };

function call(document: object, verb = 'ADD'): PodCall<IpvlanConf> {
  const conf = readConf(IpvlanConf, document as never);
  return { verb, version: '1.0.0', conf, document } as unknown as PodCall<IpvlanConf>;
}

const prevResult = (...names: readonly string[]) => ({
  cniVersion: '1.0.0',
  interfaces: names.map((name) => ({ name })),
  ips: [{ ...ADDRESS, interface: 0 }],
  routes: [{ dst: '0.0.0.0/0' }],
});

describe('masterOf', () => {
  it('is the configured one, whatever came before', () => {
    expect(masterOf(call({ master: 'eth0', prevResult: prevResult('a', 'b') }))).toBe('eth0');
    expect(masterOf(call({ master: 'eth0' }, 'STATUS'))).toBe('eth0');
  });

  it('is the only interface of the plugin before, in ADD', () => {
    expect(masterOf(call({ prevResult: prevResult('vlan7') }))).toBe('vlan7');
  });

  it('is the default where no plugin came before', () => {
    expect(masterOf(call({}))).toBe('');
    expect(masterOf(call({ prevResult: null }))).toBe('');
  });

  it('is not known to CHECK and STATUS unless it is configured', () => {
    expect(masterOf(call({ prevResult: prevResult('net1') }, 'CHECK'))).toBeUndefined();
    expect(masterOf(call({}, 'STATUS'))).toBeUndefined();
  });

  it.each([[[]], [['a', 'b']], [['']]])('cannot be chosen from the interfaces %j', (names) => {
    expect(() => masterOf(call({ prevResult: prevResult(...names) }))).toThrow(
      expect.objectContaining({
        code: 7,
        message: expect.stringMatching(new RegExp(`"master".*${names.length} interfaces`)),
      }),
    );
  });
});

describe('inherited', () => {
  it('is what the plugin before has, unless an IPAM plugin is configured', () => {
    const previous = prevResult('vlan7');
    expect(inherited(call({ prevResult: previous }))).toMatchObject({ ips: [ADDRESS], routes: [{ dst: '0.0.0.0/0' }] });
    expect(inherited(call({ prevResult: previous, ipam: { type: 'static' } }))).toBeUndefined();
  });

  it.each([undefined, null, { cniVersion: '1.0.0', interfaces: [{ name: 'a' }] }, {}])(
    'refuses a link that would get no address from %j',
    (value) => {
      expect(() => inherited(call({ prevResult: value }))).toThrow(
        expect.objectContaining({ code: 7, message: expect.stringContaining('"ipam.type"') }),
      );
    },
  );

  it('refuses a previous result that is none, whoever gives the addresses', () => {
    const broken = { cniVersion: '1.0.0', ips: 'x' };
    expect(() => inherited(call({ prevResult: broken, ipam: { type: 'static' } }))).toThrow('prevResult');
  });
});

describe('demandAddresses', () => {
  it('refuses what no ADD could use, and a chained plugin only when it has seen the result', () => {
    expect(() => demandAddresses(call({}))).toThrow('"ipam.type"');
    expect(() => demandAddresses(call({ ipam: {} }))).toThrow('"ipam.type"');
    expect(() => demandAddresses(call({ prevResult: {} }))).not.toThrow();
    expect(() => demandAddresses(call({ ipam: { type: 'static' } }))).not.toThrow();
  });
});
