import { describe, expect, it } from 'vitest';
import { readConf } from '../../lib/cni/config.ts';
import type { Json } from '../../lib/cni/json.ts';
import type { Version } from '../../lib/cni/versions.ts';
import { StaticConf } from './config.ts';
import { checkFault, planResult } from './plan.ts';

const IPAM = { type: 'static', addresses: [{ address: '10.1.2.3/24', gateway: '10.1.2.1' }] };

function plan(document: object, args = '', version: Version = '1.1.0') {
  return planResult({ conf: readConf(StaticConf, document as Json), args, version });
}
const ipsOf = (document: object, args?: string) =>
  plan(document, args).ips.map(({ address, gateway = '' }) => `${address} ${gateway}`);

describe('the addresses', () => {
  const more = { args: { cni: { ips: ['10.3.0.5/24'] } } };
  const supplied = { runtimeConfig: { ips: ['10.4.0.5/24', 'fd04::5/64'] } };
  it.each([
    ['of the configuration', { ipam: IPAM }, '', ['10.1.2.3/24 10.1.2.1']],
    [
      'of CNI_ARGS come after them',
      { ipam: IPAM },
      'IP=10.2.0.5/24, fd02::5/64',
      ['10.1.2.3/24 10.1.2.1', '10.2.0.5/24 ', 'fd02::5/64 '],
    ],
    [
      'of CNI_ARGS get their gateways there',
      { ipam: { type: 'static' } },
      'IP=10.2.0.5/24,fd02::5/64;GATEWAY=fd02::1,10.2.0.1,10.2.0.2',
      ['10.2.0.5/24 10.2.0.2', 'fd02::5/64 fd02::1'],
    ],
    ['of the configuration keep theirs', { ipam: IPAM }, 'GATEWAY=10.1.2.9', ['10.1.2.3/24 10.1.2.1']],
    ['of args.cni replace both', { ipam: IPAM, ...more }, 'IP=10.2.0.5/24', ['10.3.0.5/24 ']],
    [
      'of the runtime replace all',
      { ipam: IPAM, ...more, ...supplied },
      'IP=10.2.0.5/24',
      ['10.4.0.5/24 ', 'fd04::5/64 '],
    ],
    ['may be none', { ipam: { type: 'static' } }, '', []],
    [
      'may be empty lists',
      { ipam: IPAM, args: { cni: { ips: [] } }, runtimeConfig: { ips: [] } },
      'IP=',
      ['10.1.2.3/24 10.1.2.1'],
    ],
    [
      'that are replaced are not read',
      { ipam: { addresses: [{ address: '$IP' }] }, ...supplied },
      '',
      ['10.4.0.5/24 ', 'fd04::5/64 '],
    ],
    ['may come with unknown arguments', { ipam: IPAM }, 'IgnoreUnknown=1;K8S_POD_NAME=p', ['10.1.2.3/24 10.1.2.1']],
  ])('%s', (_, document, args, ips) => {
    expect(ipsOf(document, args)).toEqual(ips);
  });

  it.each([
    [{}, '', "IPAM config missing 'ipam' key"],
    [
      { ipam: { addresses: [{ address: '10.1.2.3' }] } },
      '',
      'cannot use "ipam.addresses.0.address": "10.1.2.3" is not an address with its prefix length',
    ],
    [
      { ipam: { addresses: [{ address: '10.1.2.3/24', gateway: 'x' }] } },
      '',
      'cannot use "ipam.addresses.0.gateway": "x" is not an IP address',
    ],
    [{ ipam: IPAM, args: { cni: { ips: ['x'] } } }, '', 'cannot use "args.cni.ips.0": "x" is not'],
    [
      { ipam: IPAM, runtimeConfig: { ips: ['10.4.0.5/24', '10.4.0.6'] } },
      '',
      'cannot use "runtimeConfig.ips.1": "10.4.0.6" is not',
    ],
    [{ ipam: IPAM }, 'IP=10.2.0.5', 'cannot use IP of CNI_ARGS: "10.2.0.5" is not'],
    [{ ipam: IPAM }, 'GATEWAY=x', 'cannot use GATEWAY of CNI_ARGS: "x" is not'],
    [{ ipam: IPAM }, 'A=b', 'unknown arguments'],
  ])('%j with "%s" are refused', (document, args, message) => {
    expect(() => plan(document, args)).toThrow(message);
  });

  it('are at most one of each family before 0.3.0', () => {
    const two = { ipam: { addresses: [{ address: '10.1.2.3/24' }, { address: '10.1.2.4/24' }] } };
    const both = { ipam: { addresses: [{ address: '10.1.2.3/24' }, { address: 'fd00::4/64' }] } };
    expect(() => plan(two, '', '0.2.0')).toThrow('cannot give 10.1.2.3/24, 10.1.2.4/24: CNI version 0.2.0');
    expect(plan(two, '', '0.3.0').ips).toHaveLength(2);
    expect(plan(both, '', '0.2.0').ips).toHaveLength(2);
  });
});

describe('CHECK', () => {
  const found = [{ address: '10.1.2.3/24', gateway: '10.1.2.1' }, { address: 'fd00::4/64' }];
  it.each([
    [[{ address: '10.1.2.3/24', gateway: '10.1.2.1' }], undefined],
    [[{ address: '10.1.2.3/24' }, { address: 'fd00::4/64' }], undefined],
    [[{ address: '10.1.2.3/16' }], undefined],
    [[], undefined],
    [[{ address: '10.1.2.4/24' }], 'prevResult has no address 10.1.2.4/24'],
    [[{ address: '10.1.2.3/24', gateway: '10.1.2.2' }], 'the gateway 10.1.2.1, not 10.1.2.2'],
    [[{ address: 'fd00::4/64', gateway: 'fd00::1' }], 'the gateway "", not fd00::1'],
  ])('of %j', (wanted, fault) => {
    const said = checkFault(wanted, found);
    expect(said === undefined ? undefined : said).toEqual(
      fault === undefined ? undefined : expect.stringContaining(fault),
    );
  });
});
