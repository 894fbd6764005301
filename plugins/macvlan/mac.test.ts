import { describe, expect, it } from 'vitest';
import type { PodCall } from '../../lib/cni/call.ts';
import { readConf } from '../../lib/cni/config.ts';
import { MacvlanConf } from './config.ts';
import { askedMacOf, macOf } from './mac.ts';

const MAC = '02:00:00:00:00:0a';
const call = (conf: object, more: Partial<PodCall<MacvlanConf>> = {}) =>
  ({ verb: 'ADD', args: '', conf: readConf(MacvlanConf, conf as never), ...more }) as PodCall<MacvlanConf>;

describe('macOf', () => {
  it('makes an address in ADD, but not in passthru mode, where it would become that of the parent', () => {
    expect(macOf(call({}))).toMatch(/^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/);
    expect(macOf(call({ mode: 'passthru' }))).toBeUndefined();
    expect(macOf(call({}, { verb: 'CHECK' }))).toBeUndefined();
  });

  it('takes the one that is asked for, whatever the mode and the verb', () => {
    expect(macOf(call({ mac: MAC, mode: 'passthru' }))).toBe(MAC);
    expect(macOf(call({ mac: MAC }, { verb: 'CHECK' }))).toBe(MAC);
  });
});

describe('askedMacOf', () => {
  it("takes the runtime's, then CNI_ARGS', then the configuration's", () => {
    const conf = { mac: '02:00:00:00:00:0c', runtimeConfig: { mac: '02:00:00:00:00:0b' } };
    const args = `IgnoreUnknown=1;MAC=${MAC}`;
    expect(askedMacOf(call(conf, { args }))).toBe('02:00:00:00:00:0b');
    expect(askedMacOf(call({ mac: conf.mac }, { args }))).toBe(MAC);
    expect(askedMacOf(call({ mac: conf.mac }, { args: 'MAC=' }))).toBe('02:00:00:00:00:0c');
    expect(askedMacOf(call({}))).toBeUndefined();
  });

  it.each(['AA-BB-CC-DD-EE-02', 'aabb.ccdd.ee02', 'aabbccddee02'])('reads %s', (mac) => {
    expect(askedMacOf(call({ mac }))).toBe('aa:bb:cc:dd:ee:02');
  });

  it.each([
    ['aa:bb:cc:dd:ee', 'not an Ethernet address'],
    ['02:00:5e:10:00:00:00:01', 'not an Ethernet address'],
    ['01:00:5e:00:00:01', 'multicast'],
  ])('refuses %s', (mac, message) => {
    expect(() => askedMacOf(call({ mac }))).toThrow(
      expect.objectContaining({ code: 7, message: expect.stringContaining(message) }),
    );
  });

  it.each(['zz', '02:00:00:00:00', '01:00:5e:00:00:01', '00:00:00:00:00:00'])('blames CNI_ARGS for MAC=%s', (mac) => {
    expect(() => askedMacOf(call({ mac: MAC }, { args: `MAC=${mac}` }))).toThrow(
      expect.objectContaining({
        code: 4,
        message: expect.stringContaining(`cannot use MAC of CNI_ARGS: "${mac}" is not`),
      }),
    );
  });
});
