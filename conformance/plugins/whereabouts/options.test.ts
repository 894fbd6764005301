/** Keys of whereabouts that are off by default. */
import { describe, expect, it } from 'vitest';
import { OURS, SCRIPT } from '../../lab/programs.ts';
import { podArgs, RANGE, Store, withStore } from '../../lab/store.ts';

const asking = (pod: string, ip: string) => ({ args: `${podArgs(pod)};IP=${ip}` });

describe.concurrent('whereabouts', () => {
  it(
    'reserves the address that CNI_ARGS ask for in its range, for as long as the pod is there',
    { tags: 'whereabouts/options' },
    withStore({ ...RANGE, ip_request_mode: 'pool' }, async (store) => {
      expect(await store.add('c1', asking('a', '10.5.0.7/24'))).toEqual(['10.5.0.7/24']);
      expect(await store.add('c1', asking('a', '10.5.0.7'))).toEqual(['10.5.0.7/24']);
      expect(await store.fails('ADD', 'c2', asking('b', '10.5.0.7'))).toMatchObject({
        code: 999,
        message: 'error at storage engine: cannot give 10.5.0.7, which IP of CNI_ARGS asks for: lab/a net1 has it',
      });
      expect(await store.fails('ADD', 'c2', asking('b', '10.6.0.7'))).toMatchObject({ code: 4 });
      await store.del('c1');
      expect(await store.add('c2', asking('b', '10.5.0.7'))).toEqual(['10.5.0.7/24']);
      expect(await store.add('c3', { args: podArgs('c') })).toEqual(['10.5.0.1/24']);
    }),
  );

  it(
    'gives one of 12 pods the address that they all ask for at once, and each of 12 its own',
    withStore({ ...RANGE, ip_request_mode: 'pool' }, async (store) => {
      const all = await Promise.all(
        Array.from({ length: 24 }, (_, at) =>
          store.call('ADD', `c${at}`, asking(`p${at}`, at < 12 ? '10.5.0.100' : `10.5.0.${at}`)),
        ),
      );
      const given = all.flatMap(({ exitCode, stdout }) => (exitCode === 0 ? [JSON.parse(stdout).ips[0].address] : []));
      expect(given.filter((ip) => ip === '10.5.0.100/24')).toHaveLength(1);
      expect(given.slice(1).sort()).toEqual(Array.from({ length: 12 }, (_, at) => `10.5.0.${at + 12}/24`));
    }),
  );

  it(
    'gives a sticky pod its former address, also by another executable',
    withStore({ ...RANGE, sticky: true }, async (store) => {
      const script = new Store(store.lab, { ...RANGE, sticky: true }, { ...OURS, bin: SCRIPT });
      const first = await store.add('c1', { args: podArgs('db-0') });
      await store.del('c1');
      expect(await store.with({ sticky: false }).add('x', { args: podArgs('x') })).toEqual(['10.5.0.1/24']);
      expect(await script.add('c2', { args: podArgs('db-0') })).toEqual(first);
      expect(first).not.toEqual(['10.5.0.1/24']);
    }),
  );

  it(
    'uses both addresses of a rail, and keeps the gateway from pods',
    withStore({ ipRanges: [{ range: '10.5.0.0/31' }, { range: 'fd05::/127' }], small_subnets: true }, async (store) => {
      expect(await store.add('c1')).toEqual(['10.5.0.0/31', 'fd05::/127']);
      expect(await store.add('c2')).toEqual(['10.5.0.1/31', 'fd05::1/127']);
      expect((await store.fails('ADD', 'c3')).message).toContain('Could not allocate IP in range');
      const other = store.with({ network_name: 'other', gateway: '10.5.0.0', reserve_gateway: true });
      expect(await other.add('c1')).toEqual(['10.5.0.1/31', 'fd05::/127']);
    }),
  );
});
