/** What looks bad in a call of whereabouts and is not, and what a folder that is read-only does. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mustRun } from '../../lab/execute.ts';
import { Lab } from '../../lab/lab.ts';
import { errorOf } from '../../lab/printed.ts';
import { placed } from '../../lab/refuse.ts';
import { databaseIn } from '../../lab/store.ts';
import { mustAdd, range, whereabouts } from './bad.ts';

describe.concurrent('whereabouts', () => {
  it('reads a log whose last transaction a crash has torn', async () => {
    await using lab = await Lab.open();
    for (const containerId of ['a', 'b']) {
      await mustAdd(lab, '10.5.0.0/24', containerId);
    }
    const [log, sequence] = [`${databaseIn(join(lab.dir, 'store'))}-wal`, join(lab.dir, 'store/sequence')];
    const [whole, before] = [readFileSync(log), readFileSync(sequence)];
    await mustAdd(lab, '10.5.0.0/24', 'torn');
    const torn = readFileSync(log);
    for (const cut of [torn.length - 1, whole.length + 5000, whole.length + 24, whole.length]) {
      writeFileSync(log, torn.subarray(0, cut));
      writeFileSync(sequence, before); // the number is written after the transaction is on the disk
      const outcome = await lab.call({
        verb: 'ADD',
        plugin: 'whereabouts',
        conf: placed(range('10.5.0.0/24'), lab),
        netns: '/proc/1/ns/net',
        containerId: `after-${cut}`,
      });
      expect(JSON.parse(outcome.stdout)).toMatchObject({ ips: [{ address: '10.5.0.3/24' }] });
    }
  });

  it('has code 50 for STATUS of a read-only folder', { tags: 'whereabouts/status' }, async () => {
    await using lab = await Lab.open();
    const conf = placed({ ...whereabouts({}), cniVersion: '1.1.0' }, lab);
    lab.folder('store');
    expect(await lab.call({ verb: 'STATUS', plugin: 'whereabouts', conf })).toMatchObject({ exitCode: 0, stdout: '' });
    await lab.makeReadOnly(join(lab.dir, 'store'));
    expect(errorOf(await lab.call({ verb: 'STATUS', plugin: 'whereabouts', conf }))).toMatchObject({ code: 50 });
    expect(readdirSync(join(lab.dir, 'store'))).toEqual([]);
  });

  it('mounting is what makes a folder read-only for root', async () => {
    await using lab = await Lab.open();
    const folder = lab.folder('store');
    await lab.makeReadOnly(folder);
    await expect(mustRun(['touch', join(folder, 'x')])).rejects.toThrow(/Read-only/);
  });
});
