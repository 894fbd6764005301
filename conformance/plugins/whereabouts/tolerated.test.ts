/** What looks bad in a call of whereabouts and is not, and what a folder that is read-only does. */
import { appendFileSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mustRun } from '../../lab/execute.ts';
import { Lab } from '../../lab/lab.ts';
import { errorOf } from '../../lab/printed.ts';
import { placed } from '../../lab/refuse.ts';
import { mustAdd, range, whereabouts } from './bad.ts';

describe.concurrent('whereabouts', () => {
  it('reads a journal whose last record a crash has torn', async () => {
    await using lab = await Lab.open();
    for (const containerId of ['a', 'b']) {
      await mustAdd(lab, '10.5.0.0/24', containerId);
    }
    const journal = join(lab.dir, 'store/_/journal');
    const whole = readFileSync(journal);
    const next = (containerId: string) =>
      lab.call({
        verb: 'ADD',
        plugin: 'whereabouts',
        conf: placed(range('10.5.0.0/24'), lab),
        netns: '/proc/1/ns/net',
        containerId,
      });
    await mustAdd(lab, '10.5.0.0/24', 'torn');
    const length = readFileSync(journal).length;
    for (const cut of [length - 1, whole.length + 9, whole.length + 8, whole.length + 3, whole.length]) {
      truncateSync(journal, cut);
      const outcome = await next(`after-${cut}`);
      expect(JSON.parse(outcome.stdout)).toMatchObject({ ips: [{ address: '10.5.0.3/24' }] });
      writeFileSync(journal, Buffer.concat([whole, readFileSync(journal).subarray(whole.length)]));
    }
    appendFileSync(journal, Buffer.alloc(4096));
    expect(JSON.parse((await next('last')).stdout)).toMatchObject({ ips: [{ address: '10.5.0.4/24' }] });
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
