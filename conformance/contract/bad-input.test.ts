/** Whatever is wrong with a call: the right code, a message that names key and value, and nothing changed. */
import { appendFileSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mustRun } from '../lab/execute.ts';
import { answer, fake } from '../lab/fakes.ts';
import { Lab } from '../lab/lab.ts';
import { placed, refuse } from '../lab/refuse.ts';
import { errorOf } from '../peers/compare.ts';
import { HOST_DEVICE } from '../plugins/host-device/bad.ts';
import { FAKE, MACVLAN, macvlan } from '../plugins/macvlan/bad.ts';
import { MULTUS } from '../plugins/multus/bad.ts';
import { mustAdd, range, WHEREABOUTS, whereabouts } from '../plugins/whereabouts/bad.ts';

describe.concurrent('macvlan refuses', () => {
  for (const row of MACVLAN) {
    it(`${row.title}, with code ${row.code}`, () => refuse('macvlan', row));
  }
});

describe.concurrent('host-device refuses', () => {
  for (const row of HOST_DEVICE) {
    it(`${row.title}, with code ${row.code}`, () => refuse('host-device', row));
  }
});

describe.concurrent('whereabouts refuses', () => {
  for (const row of WHEREABOUTS) {
    it(`${row.title}, with code ${row.code}`, () => refuse('whereabouts', row));
  }
});

describe.concurrent('multus refuses', () => {
  for (const row of MULTUS) {
    it(`${row.title}, with code ${row.code}`, () => refuse('multus', row));
  }
});

describe.concurrent('what looks bad and is not', () => {
  it('an IPAM plugin that does not read a long stdin', async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const path = [
      fake(lab, 'fake-ipam', `exec <&-\n${answer({ cniVersion: '1.0.0', ips: [{ address: '10.1.2.3/24' }] })}`),
    ];
    const conf = macvlan({ ipam: { type: 'fake-ipam' }, x: 'x'.repeat(1 << 20) });
    expect(await lab.call({ verb: 'ADD', plugin: 'macvlan', conf, netns: pod.path, path })).toMatchObject({
      exitCode: 0,
    });
  });

  it('an IPAM plugin that says much on stderr', async () => {
    await using lab = await Lab.open();
    const pod = await lab.pod();
    const path = [
      fake(
        lab,
        'fake-ipam',
        `head -c 1000000 /dev/zero | tr '\\0' x >&2\n${answer({ cniVersion: '1.0.0', ips: [{ address: '10.1.2.3/24' }] })}`,
      ),
    ];
    const outcome = await lab.call({ verb: 'ADD', plugin: 'macvlan', conf: FAKE, netns: pod.path, path });
    expect({
      ...outcome,
      stdout: JSON.parse(outcome.stdout).cniVersion,
      stderr: outcome.stderr.length >= 1_000_000,
    }).toMatchObject({ exitCode: 0, stdout: '1.0.0', stderr: true });
  });

  it('a journal whose last record a crash has torn', async () => {
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

  it('STATUS of whereabouts has code 50 on a read-only folder', async () => {
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
