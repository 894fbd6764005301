/** What whereabouts says on stderr: nothing when all is well, and what is wrong before the first pod has it. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { OURS, SCRIPT } from '../../lab/programs.ts';
import { RANGE, Store, withStore } from '../../lab/store.ts';

describe.concurrent('whereabouts', () => {
  it(
    'is silent on stderr when all is well, whatever it writes to its log',
    { tags: 'whereabouts/silent' },
    withStore(RANGE, async (store) => {
      const log = join(store.lab.dir, 'log');
      const script = new Store(store.lab, RANGE, { ...OURS, bin: SCRIPT });
      const logging = [store.with({ log_file: log }), store.with({ log_file: log, log_level: 'debug' })];
      for (const one of [store, script, ...logging]) {
        for (const verb of ['STATUS', 'ADD', 'ADD', 'CHECK', 'DEL', 'DEL', 'GC']) {
          expect(await one.call(verb, 'a', { document: { 'cni.dev/valid-attachments': [] } })).toMatchObject({
            exitCode: 0,
            stderr: '',
          });
        }
      }
    }),
  );

  it.each([
    [{ subnet: '10.5.0.0/24' }, '"subnet" is a key of host-local: write "range"\n'],
    [{ gateway: '10.5.0.1' }, 'gateway 10.5.0.1 may be given to a pod: range 10.5.0.0/24 does not exclude it\n'],
    [{ range: '0.0.0.0/0' }, 'range 0.0.0.0/0 spans other networks too: pods get addresses that belong elsewhere\n'],
  ])('goes on with %j, and says so', async (ipam, stderr) => {
    await withStore({ ...RANGE, ...ipam }, async (store) => {
      expect(await store.call('ADD', 'a')).toMatchObject({ exitCode: 0, stderr });
      expect(await store.call('DEL', 'a')).toMatchObject({ exitCode: 0, stderr: '' });
    })();
  });

  it(
    'gives nobody what the flat file excludes when the file has gone, and takes back what it gave before',
    { tags: 'whereabouts/configuration-path' },
    withStore(RANGE, async (store) => {
      const flat = join(store.lab.dir, 'flat.conf');
      writeFileSync(flat, JSON.stringify({ exclude: ['10.5.0.1'] }));
      const own = store.with({ configuration_path: flat });
      expect(await own.add('a')).toEqual(['10.5.0.2/24']);
      rmSync(flat);
      expect(await own.fails('ADD', 'b')).toMatchObject({
        code: 7,
        message: `cannot use "ipam.configuration_path" "${flat}": there is no such file`,
      });
      expect(await own.call('DEL', 'a')).toMatchObject({
        exitCode: 0,
        stdout: '',
        stderr: `flat file "${flat}" is missing: addresses are freed in "${store.folder}"\n`,
      });
      writeFileSync(flat, JSON.stringify({ exclude: ['10.5.0.1'] }));
      expect(await own.add('c')).toEqual(['10.5.0.2/24']);
    }),
  );

  it(
    'gives an address that CNI_ARGS name where the configuration has none',
    withStore({}, async (store) => {
      expect(await store.add('a', { args: 'IP=10.9.0.7/24' })).toEqual(['10.9.0.7/24']);
      expect(await store.call('STATUS', '')).toMatchObject({ exitCode: 0 });
      expect(await store.fails('ADD', 'b')).toMatchObject({
        code: 7,
        message: expect.stringContaining('"ipam.range"'),
      });
    }),
  );
});
