import { describe, expect, it } from 'vitest';
import { Lab, PARENT } from '../../lab/lab.ts';
import { GO, OURS, type Side } from '../../lab/programs.ts';
import { SEED } from '../../lab/random.ts';
import { filesIn, stateOf } from '../../lab/state.ts';
import { Comparing } from '../../peers/peer-testing.ts';
import { DIFFERENCES as MACVLAN } from '../macvlan/differences.ts';
import { multusCases } from './cases.ts';
import { DIFFERENCES } from './differences.ts';
import { randomMultusCases } from './random.ts';

const comparing = new Comparing('multus', DIFFERENCES, MACVLAN);

comparing.cases('multus does what the Go plugin does:', multusCases());
comparing.cases(`multus does what the Go plugin does, at random (BRAID_SEED=${SEED}):`, randomMultusCases());
comparing.meets(DIFFERENCES);

const link = (index: number) => ({ cniVersion: '1.0.0', name: `net-${index}`, type: 'macvlan', master: PARENT });
const hostLocal = (index: number) => ({
  ipam: { type: 'host-local', dataDir: '{dir}/host-local', ranges: [[{ subnet: `10.7.${index}.0/24` }]] },
});
const { cniVersion: _, name: __, ...plain } = link(0);
const chained = {
  cniVersion: '1.0.0',
  name: 'list',
  plugins: [
    { ...plain, ...hostLocal(1) },
    { type: 'tuning', sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' } },
  ],
};

describe('changing over with a pod running', () => {
  const ways: readonly { readonly from: Side; readonly to: Side }[] = [
    { from: OURS, to: GO },
    { from: GO, to: OURS },
  ];
  const documents = [
    { what: 'one network', delegates: [{ ...link(0), ...hostLocal(0) }] },
    { what: 'three networks', delegates: [link(0), { ...link(1), ...hostLocal(1) }, { ...link(2), ...hostLocal(2) }] },
    { what: 'chained plugins', delegates: [link(0), chained] },
    { what: 'chained plugins first', delegates: [chained, link(2)] },
    { what: 'a list without a version', delegates: [link(0), { ...chained, cniVersion: undefined }] },
  ];
  // Go's own DEL loses the address of a list without a version: its scratch file has not all of the list
  const cases = ways.flatMap((way) =>
    documents
      .filter(({ what }) => way.from === GO || what !== 'a list without a version')
      .map((document) => ({ ...way, ...document })),
  );

  it.each(cases)(
    'from $from.name to $to.name with $what: CHECK and DEL know what ADD made',
    async ({ from, to, delegates }) => {
      await using lab = await Lab.open();
      const pod = await lab.pod();
      const look = async () => {
        const files = Object.entries(filesIn(lab.dir)).filter(
          ([name]) => !/\/(lock|last_reserved_ip\..*|\.owners|)$/.test(name), // host-local keeps those
        );
        return { pod: await stateOf(pod.name), node: await stateOf(lab.node), files };
      };
      const call = (verb: string, side: Side, more = {}) => {
        const conf = {
          cniVersion: '1.0.0',
          name: 'node',
          type: 'multus',
          cniDir: '{dir}/cni',
          binDir: side.bin,
          delegates,
          ...more,
        };
        const placed = JSON.parse(JSON.stringify(conf).replaceAll('{dir}', lab.dir));
        return lab.call({ verb, plugin: 'multus', conf: placed, netns: pod.path, ifName: 'eth0' }, side);
      };
      const before = await look();
      const added = await call('ADD', from);
      expect(added).toMatchObject({ exitCode: 0 });
      const prevResult = JSON.parse(added.stdout);
      const hasVersions = delegates.every(({ cniVersion }) => cniVersion !== undefined);
      expect((await call('CHECK', to, { prevResult })).exitCode).toBe(hasVersions ? 0 : 1);
      expect(await call('DEL', to, { prevResult })).toMatchObject({ exitCode: 0, stdout: '' });
      expect(await look()).toEqual(before);
    },
  );
});
