import { describe, expect, it } from 'vitest';
import { readSriovConfig } from './config.ts';

const resource = (more: object = {}): object => ({ resourceName: 'vf', selectors: {}, ...more });
const read = (...resourceList: readonly unknown[]) => readSriovConfig(JSON.stringify({ resourceList }), 'intel.com');

describe('a configuration of SR-IOV resources', () => {
  it('has keys in any case, and selectors as an object or a list', () => {
    const config =
      '{"RESOURCELIST":[{"ResourceName":"a","SelectorObj":1,"selectors":{"IsRdma":true,"needvhostnet":true}}]}';
    expect(readSriovConfig(config, 'example.com')).toMatchObject([
      {
        prefix: 'example.com',
        name: 'a',
        kind: 'netDevice',
        hasTopology: true,
        selectors: [{ isRdma: true, needVhostNet: true }],
      },
    ]);
    expect(read(resource({ selectors: [{ drivers: ['a'] }, {}], resourcePrefix: 'b.c' }))).toMatchObject([
      { prefix: 'b.c', selectors: [{ drivers: ['a'] }, { drivers: [] }] },
    ]);
    expect(read(resource({ selectors: [{ isRdma: true }, { vdpaType: 'vhost' }] }))).toHaveLength(1);
  });

  it.each<[unknown, string]>([
    [
      resource({ resourceName: 'junk.net.0' }),
      '"resourceList.0.resourceName" "junk.net.0": only letters, digits, "_" and "-"',
    ],
    [resource({ resourceName: '-a' }), 'a letter or digit first and last'],
    [resource({ resourceName: 'a'.repeat(64) }), 'at most 63 characters'],
    [resource({ resourceName: 'a'.repeat(63), resourcePrefix: 'abcde' }), 'longer than 67 characters'],
    [resource({ resourcePrefix: 'a/b' }), 'it is no DNS name in lower case'],
    [resource({ resourcePrefix: 'Intel.com' }), 'it is no DNS name in lower case'],
    [resource({ resourcePrefix: 'x.kubernetes.io' }), 'Kubernetes keeps it to itself'],
    [resource({ resourcePrefix: 'requests.a' }), 'Kubernetes keeps it to itself'],
    [resource({ deviceType: 'netdevice' }), '"resourceList.0.deviceType": "netdevice" is not one of'],
    [
      resource({ selectors: null }),
      '"resourceList.0.selectors": it is neither a selector nor a list with at least one',
    ],
    [resource({ selectors: [] }), '"resourceList.0.selectors": it is neither'],
    [resource({ selectors: [null] }), '"resourceList.0.selectors.0": it is not an object'],
    [resource({ selectors: { vendors: '8086' } }), '"resourceList.0.selectors.0.vendors": "8086" is not a list'],
    [resource({ selectors: { vdpaType: 'vhsot' } }), '"vhsot" is not one of'],
    [resource({ selectors: { isRdma: true, vdpaType: 'vhost' } }), '"isRdma" and "vdpaType" exclude each other'],
    [resource({ selectors: [{}, { isRdma: true, vdpaType: 'vhost' }] }), '"resourceList.0.selectors.1"'],
    [
      resource({ deviceType: 'auxNetDevice' }),
      '"resourceList.0.selectors.0.auxTypes": it must be a list with nothing but "sf"',
    ],
    [resource({ deviceType: 'auxNetDevice', selectors: { auxTypes: ['eth'] } }), 'nothing but "sf"'],
    [resource({ additionalInfo: { '*': { a: 1 } } }), '"resourceList.0.additionalInfo.*.a": 1 is not a string'],
    [resource({ allocation: 'close' }), '"resourceList.0.allocation": "close" is not one of'],
    [resource({ health: { link: 'yes' } }), '"resourceList.0.health.link"'],
    [resource({ health: { settleSeconds: -1 } }), '"resourceList.0.health.settleSeconds": -1 is not at least 0'],
    [null, '"resourceList.0": null is not an object'],
    ...['#0', 'eth0#', 'eth0#1-', 'eth0#-1', 'eth0#1-2-3', 'eth0#a#b', 'eth0#0,x', 'eth0#0, 1', 'eth0#5-2'].map(
      (name): [unknown, string] => [
        resource({ selectors: { pfNames: [name] } }),
        `"resourceList.0.selectors.0.pfNames" "${name}"`,
      ],
    ),
  ])('is refused: %j', (one, message) => {
    expect(() => read(one)).toThrow(message);
  });

  it('has no name, and no variable of a container, twice', () => {
    expect(() => read(resource(), resource())).toThrow('two resources have the name "intel.com/vf"');
    expect(read(resource(), resource({ resourcePrefix: 'other.com' }))).toHaveLength(2);
    const [a, b] = [
      resource({ resourcePrefix: 'a.b', resourceName: 'c_d' }),
      resource({ resourcePrefix: 'a', resourceName: 'b_c_d' }),
    ];
    expect(() => read(a, b)).toThrow('two resources have the environment variable "PCIDEVICE_A_B_C_D"');
  });

  it.each(['', '[]', '1', '{"resourceList":[]}', '{}', '{"resourceList":[]} x'])('is refused: %j', (text) => {
    expect(() => readSriovConfig(text, 'intel.com')).toThrow(Error);
  });
});
