/** What sbr refuses. */
import type { Lab, Pod } from '../../lab/lab.ts';
import type { Row } from '../../lab/refuse.ts';
import { type Given, interfaceOf, resultOf } from './lab.ts';

const FOUR: readonly Given[] = [['10.1.2.3/24', '10.1.2.1']];

const conf = (more: object = {}, prevResult: unknown = resultOf('1.0.0', 'net1', FOUR)) => ({
  cniVersion: '1.0.0',
  name: 'net-a',
  type: 'sbr',
  prevResult,
  ...more,
});

const inPod = async (lab: Lab, pod: Pod): Promise<void> => {
  for (const command of [...interfaceOf('net1', FOUR), 'route add default via 10.1.2.1 dev net1']) {
    await lab.ip(pod.name, command);
  }
};

const result = (more: object) => ({ cniVersion: '1.0.0', interfaces: [{ name: 'net1', sandbox: '/pod' }], ...more });

export const BAD: readonly Row[] = [
  ...['200', true, [], {}, 1.5, -1, 0, 2 ** 32].map(
    (table): Row => ({
      title: `"table" ${JSON.stringify(table)}`,
      conf: conf({ table }),
      prepare: inPod,
      code: 7,
      says: ['"table"', JSON.stringify(table)],
    }),
  ),
  { title: 'no previous result', conf: conf({ prevResult: undefined }), code: 7, says: ['"prevResult" is missing'] },
  { title: 'a previous result that is none', conf: conf({}, 'x'), code: 7, says: ['prevResult'] },
  {
    title: 'one without addresses',
    conf: conf({}, result({})),
    prepare: inPod,
    code: 7,
    says: ['"net1"', '"prevResult" has none'],
  },
  {
    title: 'one with addresses of another interface',
    conf: conf({}, resultOf('1.0.0', 'veth7', FOUR)),
    prepare: inPod,
    code: 7,
    says: ['"net1"', '10.1.2.3/24 of other interfaces'],
  },
  {
    title: 'one with an address that is none',
    conf: conf({}, result({ ips: [{ address: '10.1.2.3' }] })),
    prepare: inPod,
    code: 7,
    says: ['"10.1.2.3"'],
  },
  { title: 'one of another version', conf: conf({}, { cniVersion: '0.4.0' }), code: 999, says: ['0.4.0'] },
  { title: 'an interface that is not there', conf: conf(), code: 999, says: ['"net1"'] },
  {
    title: 'a gateway that cannot be reached',
    conf: conf({}, resultOf('1.0.0', 'net1', [['10.1.2.3/24'], ['10.1.2.4/24', '10.99.0.1']])),
    prepare: inPod,
    code: 999,
    says: ['default via 10.99.0.1 dev net1', 'ENETUNREACH'],
  },
  {
    title: 'a namespace that is missing',
    conf: conf(),
    call: { netns: '/run/netns/absent-of-braid' },
    code: 999,
    says: ['/run/netns/absent-of-braid'],
  },
  { title: 'a namespace that is a file', conf: conf(), call: { netns: '/etc/hostname' }, code: 8 },
  { title: 'broken JSON', conf: '{"name": "a",', code: 6 },
  { title: 'a version that nobody knows', conf: conf({ cniVersion: '9.9.9' }), code: 1 },
];
