/** Configurations of host-device made at random: mostly good, sometimes with a fault, the same ones for the same seed. */

import { PARENT as DEVICE, PARENT_MAC } from '../../lab/lab.ts';
import { VERSIONS } from '../../lab/programs.ts';
import { countOf, Random, SEED } from '../../lab/random.ts';
import { drivenBy, PCI_ADDRESS, PCI_FOLDER, pciDevice, type Sysfs } from '../../lab/sysfs.ts';
import type { Case } from '../../peers/compare.ts';
import { MEND } from './cases.ts';

type Document = Record<string, unknown>;

const ODD: readonly unknown[] = [null, '', 'x', 0, 7, -1, 1.5, true, false, [], {}, [null], { a: null }];
const SYSFS: readonly Sysfs[] = [
  pciDevice({ ...drivenBy('iavf'), [`${PCI_FOLDER}/net/${DEVICE}`]: '' }),
  pciDevice(drivenBy('vfio-pci')),
];

/** `BRAID_SEED` and `BRAID_RANDOM_CASES` choose others. */
export function randomHostDeviceCases(): readonly Case[] {
  return Array.from({ length: countOf(50) }, (_, index) => {
    const random = new Random(SEED + index * 6007);
    const conf = spoilt(random, documentOf(random));
    const call = { ifName: random.pick(['net1', 'eth0', 'eth0.5', 'abcdefghijklmno', DEVICE]) };
    return {
      title: `${index}: ${JSON.stringify(conf)} ${JSON.stringify(call)}`.slice(0, 400),
      plugin: 'host-device',
      conf,
      call,
      macs: [PARENT_MAC],
      sysfs: random.pick(SYSFS),
      mend: MEND,
      ...(random.chance(0.1) ? { verbs: ['ADD', 'ADD', 'DEL', 'DEL'] } : {}),
    };
  });
}

function documentOf(random: Random): Document {
  const document: Document = {
    cniVersion: random.pick(VERSIONS),
    name: random.pick(['a', 'net-a', 'Net.1_x']),
    type: 'host-device',
    dataDir: '{store}/records',
    ...selectorsOf(random),
  };
  const options: readonly (readonly [string, () => unknown])[] = [
    ['dns', () => random.pick([{}, { nameservers: ['10.0.0.53'] }, { domain: 'a.example', search: ['a', 'b'] }])],
    ['capabilities', () => ({ deviceID: true })],
    ['unknown', () => random.pick(ODD)],
  ];
  for (const [key, value] of random.some(options, 0.3)) {
    document[key] = value();
  }
  if (!random.chance(0.2)) {
    document['ipam'] = ipamOf(random);
  }
  return document;
}

/** Mostly one, sometimes several, and now and then none. */
function selectorsOf(random: Random): Document {
  const all: readonly (readonly [string, unknown])[] = [
    ['device', random.chance(0.1) ? 'absent0' : DEVICE],
    ['hwaddr', random.pick([PARENT_MAC, PARENT_MAC.toUpperCase(), '02:00:00:00:00:77'])],
    ['kernelpath', random.pick([`/sys/${PCI_FOLDER}`, `/sys/${PCI_FOLDER}/`])],
    ['pciBusID', random.pick([PCI_ADDRESS, PCI_ADDRESS, '0000:ff:1f.7'])],
    ['runtimeConfig', random.pick([{ deviceID: PCI_ADDRESS }, {}, { deviceID: '' }])],
  ];
  return Object.fromEntries([random.pick(all), ...random.some(all, 0.15)]);
}

function ipamOf(random: Random): Document {
  const routes = random.chance(0.6)
    ? {
        routes: random.some(
          [{ dst: '0.0.0.0/0' }, { dst: '10.8.0.0/16', gw: '10.1.2.2' }, { dst: 'fd08::/48' }, { dst: '10.9.9.9/32' }],
          0.4,
        ),
      }
    : {};
  if (random.chance(0.3)) {
    const ranges = random.some([[{ subnet: '10.1.2.0/24' }], [{ subnet: 'fd00:1::/64' }]], 0.8);
    return { type: 'host-local', dataDir: '{store}', ranges, ...routes };
  }
  const addresses = random.some(
    [
      { address: '10.1.2.3/24', gateway: '10.1.2.1' },
      { address: '10.1.4.9/32' },
      { address: 'fd00:1::3/64', gateway: 'fd00:1::1' },
    ],
    0.6,
  );
  return { type: 'static', addresses, ...routes };
}

/** Now and then one value is something else. */
function spoilt(random: Random, document: Document): Document {
  if (!random.chance(0.2)) {
    return document;
  }
  const key = random.pick(Object.keys(document).filter((name) => name !== 'cniVersion' && name !== 'dataDir'));
  return { ...document, [key]: random.pick(ODD) };
}
