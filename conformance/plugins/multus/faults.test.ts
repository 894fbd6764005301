/** Each step of multus's ADD fails once, and all is as before. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { answer, RECORD, recorded, recordedVerbs } from '../../lab/fakes.ts';
import { stateOf } from '../../lab/state.ts';
import { chained, faked, Multus, POD, rails } from './lab.ts';

describe.concurrent('a network that fails', () => {
  const faults: readonly {
    readonly what: string;
    readonly make: (multus: Multus, index: number) => object;
    readonly code: number;
  }[] = [
    { what: 'has a wrong configuration', make: (multus, index) => multus.rail(index, { mtu: 9000 }), code: 7 },
    {
      what: 'has a parent that is missing',
      make: (multus, index) => multus.rail(index, { master: 'absent0' }),
      code: 7,
    },
    {
      what: 'has a range that is full',
      make: (multus, index) =>
        multus.rail(index, { ipam: { ...multus.whereabouts(index).ipam, exclude: [`10.5.${index}.0/24`] } }),
      code: 999,
    },
    {
      what: 'fails with a code',
      make: (multus, index) =>
        faked(
          multus,
          index,
          `${RECORD}; [ "$CNI_COMMAND" != ADD ] || { echo '{"code":123,"msg":"no luck"}'; exit 1; }`,
        ),
      code: 123,
    },
    {
      what: 'dies by a signal',
      make: (multus, index) => faked(multus, index, `${RECORD}; [ "$CNI_COMMAND" != ADD ] || kill -9 $$`),
      code: 999,
    },
    { what: 'prints garbage', make: (multus, index) => faked(multus, index, `${RECORD}; echo hello`), code: 999 },
    {
      what: 'prints a result of another world',
      make: (multus, index) => faked(multus, index, `${RECORD}\n${answer({ cniVersion: '9.9.9' })}`),
      code: 999,
    },
    {
      what: 'makes half of its work and fails',
      make: (multus, index) =>
        chained(
          multus,
          index,
          `${RECORD}; [ "$CNI_COMMAND" != ADD ] || { echo '{"code":123,"msg":"no luck"}'; exit 1; }`,
        ),
      code: 123,
    },
  ];
  const places = faults.flatMap((fault) => [0, 1, 2].map((place) => ({ ...fault, place })));

  for (const { what, make, code, place } of places) {
    it(`and ${what}, as number ${place}: everything is as before`, async () => {
      await using multus = await Multus.open((own) =>
        [0, 1, 2].map((index) => (index === place ? make(own, index) : own.rail(index))),
      );
      const before = await multus.everything();
      const error = await multus.fails('ADD');
      expect(error).toMatchObject({ code, message: expect.stringMatching(`network "rail-${place}"`) });
      expect(await multus.everything()).toEqual(before);
      if (existsSync(join(multus.lab.dir, 'calls'))) {
        expect(recordedVerbs(multus.lab)).toEqual(['ADD', 'DEL']);
      }
      expect(await multus.must('DEL')).toBe('');
      expect(await multus.everything()).toEqual(before);
    });
  }

  it('for want of its IPAM plugin is refused before anything is done', async () => {
    await using multus = await Multus.open((own) => [own.rail(0), own.rail(1, { ipam: { type: 'absent-ipam' } })]);
    const before = await multus.everything();
    expect(await multus.fails('ADD')).toMatchObject({ code: 999, message: expect.stringContaining('"absent-ipam"') });
    expect(await multus.everything()).toEqual(before);
    await multus.must('DEL');
    expect(await multus.everything()).toEqual(before);
  });

  it('leaves what another container has', async () => {
    await using multus = await Multus.open((own) => [own.rail(0), own.rail(1, { mtu: 9000 })]);
    const good = multus.conf;
    multus.conf = { ...good, delegates: [multus.rail(0)] };
    const other = await multus.lab.pod();
    await multus.must('ADD', { containerId: 'c0', netns: other.path, args: POD.replaceAll('web-0', 'web-1') });
    const before = { ...(await multus.everything()), other: await stateOf(other.name) };
    multus.conf = good;
    expect(await multus.fails('ADD')).toMatchObject({ code: 7 });
    expect({ ...(await multus.everything()), other: await stateOf(other.name) }).toEqual(before);
  });

  it('whose DEL fails too leaves the scratch file, for the next DEL', async () => {
    await using multus = await Multus.open((own) => [
      own.rail(0),
      faked(own, 1, `${RECORD}; [ -e "$PWD/well" ] || { echo '{"code":123,"msg":"no luck"}'; exit 1; }`),
    ]);
    const before = await multus.everything();
    expect(await multus.fails('ADD')).toMatchObject({ code: 123 });
    expect({ ...(await multus.everything()), cni: {} }).toEqual(before);
    expect(existsSync(join(multus.cniDir, 'c1'))).toBe(true);
    writeFileSync(join(multus.lab.dir, 'well'), '');
    await multus.must('DEL');
    expect(await multus.everything()).toEqual(before);
    expect(recordedVerbs(multus.lab)).toEqual(['ADD', 'DEL', 'DEL']);
  });

  it.each([
    { what: 'the scratch file', break: (multus: Multus) => multus.lab.makeReadOnly(multus.cniDir) },
    {
      what: 'the result cache',
      break: (multus: Multus) => {
        mkdirSync(join(multus.cniDir, 'results'));
        return multus.lab.makeReadOnly(join(multus.cniDir, 'results'));
      },
    },
  ])('for $what cannot be written: everything is as before', async (fault) => {
    await using multus = await Multus.open(rails(2));
    await fault.break(multus);
    const before = await multus.everything();
    expect(await multus.fails('ADD')).toMatchObject({ code: 5, message: expect.stringContaining('EROFS') });
    expect(await multus.everything()).toEqual(before);
  });

  it('a first network of an old version without address fails, and everything is as before', {
    tags: 'multus/empty-old-result',
  }, async () => {
    await using multus = await Multus.open(
      (own) => [own.rail(0, { cniVersion: '0.2.0', ipam: undefined }), own.rail(1)],
      { cniVersion: '0.2.0' },
    );
    const before = await multus.everything();
    expect(await multus.fails('ADD')).toMatchObject({
      code: 999,
      message: expect.stringContaining('no valid IP address'),
    });
    expect(await multus.everything()).toEqual(before);
  });

  it('names the plugin that failed, of a single delegate too', { tags: 'multus/single-description' }, async () => {
    await using multus = await Multus.open((own) => [own.rail(0, { mtu: 9000 })]);
    expect((await multus.fails('ADD')).message).toMatch(
      /^\[lab\/web-0\/u1:rail-0\]: error adding container to network "rail-0": plugin type="macvlan" name="rail-0" failed \(add\): cannot use "mtu" 9000/,
    );
  });

  it('looks for every interface and plugin before anything is done', { tags: 'multus/look-first' }, async () => {
    await using multus = await Multus.open((own) => [
      faked(own, 0, `${RECORD}\n${answer({ cniVersion: '1.1.0' })}`),
      own.rail(1),
    ]);
    await multus.lab.ip(multus.pod.name, 'link add net1 type bridge');
    const before = await multus.everything();
    expect(await multus.fails('ADD')).toMatchObject({ code: 999, message: expect.stringContaining('"net1"') });
    await multus.lab.ip(multus.pod.name, 'link del net1');
    multus.conf = {
      ...multus.conf,
      delegates: [
        faked(multus, 0, `${RECORD}\n${answer({ cniVersion: '1.1.0' })}`),
        multus.rail(1, { type: 'absent-plugin' }),
      ],
    };
    expect(await multus.fails('ADD')).toMatchObject({ code: 999, message: expect.stringContaining('"absent-plugin"') });
    expect(recorded(multus.lab)).toEqual([]);
    await multus.lab.ip(multus.pod.name, 'link add net1 type bridge');
    expect((await multus.everything()).cni).toEqual(before.cni);
  });
});
