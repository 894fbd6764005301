import { describe, expect, it } from 'vitest';
import * as z from 'zod/mini';
import { conf, dns, flag, integer, list, oneOf, readConf, routes, section, text } from './config.ts';

const Conf = conf({
  master: text('parent'),
  mode: oneOf(['bridge', 'private'], 'bridge', 'mode'),
  mtu: integer('mtu', { min: 0 }),
  deep: flag('deep', true),
  names: list(z.string(), 'names'),
  runtimeConfig: section({ mac: text('mac') }, 'runtime'),
  routes: routes('routes'),
  dns: dns('dns'),
});

describe('readConf', () => {
  it('fills in what is absent, null or empty', () => {
    const defaults = { master: '', mode: 'bridge', mtu: 0, deep: true, names: [], routes: [], dns: {} };
    expect(readConf(Conf, {})).toEqual(defaults);
    const nulls = {
      master: null,
      mode: null,
      mtu: null,
      deep: null,
      names: null,
      runtimeConfig: null,
      routes: null,
      dns: null,
    };
    expect(readConf(Conf, nulls)).toEqual(defaults);
    expect(readConf(Conf, { mode: '' })).toEqual(defaults);
  });

  it('matches keys without regard to case, at every level, and keeps what it does not know', () => {
    const read = readConf(Conf, { MASTER: 'eth0', RuntimeConfig: { Mac: 'x', Other: 1 }, more: [1] });
    expect(read).toMatchObject({ master: 'eth0', runtimeConfig: { mac: 'x', Other: 1 }, more: [1] });
  });

  it.each([
    [{ master: 1 }, 'cannot use "master": 1 is not a string'],
    [{ mtu: '1500' }, 'cannot use "mtu": "1500" is not a whole number'],
    [{ mtu: 1.5 }, 'cannot use "mtu": 1.5 is not a whole number'],
    [{ MTU: -1 }, 'cannot use "mtu": -1 is not at least 0'],
    [{ mode: 'source' }, 'cannot use "mode": "source" is not one of "bridge", "private"'],
    [{ deep: 'yes' }, 'cannot use "deep": "yes" is not a boolean'],
    [{ names: 'a' }, 'cannot use "names": "a" is not a list'],
    [{ names: ['a', 2] }, 'cannot use "names.1": 2 is not a string'],
    [{ runtimeConfig: { MAC: {} } }, 'cannot use "runtimeConfig.mac": {} is not a string'],
    [{ runtimeConfig: [] }, 'cannot use "runtimeConfig": [] is not an object'],
    [{ routes: [{ dst: '10.0.0.1' }] }, 'cannot read "routes[0].dst": "10.0.0.1" is not a CIDR address'],
    [{ dns: { domain: 5 } }, 'cannot read "dns.domain": 5 is not a string'],
    [{ routes: {} }, '"routes": {} is not a list'],
    [{ dns: [] }, '"dns": [] is not an object'],
  ])('refuses %j, naming key and value', (value, message) => {
    expect(() => readConf(Conf, value as never)).toThrow(
      expect.objectContaining({ code: 7, message: expect.stringContaining(message) }),
    );
  });
});
