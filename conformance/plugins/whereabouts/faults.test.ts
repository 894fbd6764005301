/** File systems that will not do, and disks that fail, or whose call is killed, at each step in turn. */
import { cpSync, rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { effectsOf, type Faults, faulty } from '../../lab/faults.ts';
import { Lab } from '../../lab/lab.ts';
import { errorOf } from '../../lab/printed.ts';
import { reservationsIn } from '../../lab/reservations.ts';
import { killedAfter, stepsOf } from '../../lab/steps.ts';
import { RANGE, Store } from '../../lab/store.ts';

const faults = (store: Store, what: Omit<Faults, 'of' | 'below'>) =>
  faulty(store.lab.dir, { of: 'whereabouts', below: store.folder, ...what });

const heldIn = (store: Store) => reservationsIn(store.folder).map(({ containerId }) => containerId);

describe('a file system', () => {
  it.each([
    ['locks', { lockError: 'ENOSYS' }],
    ['locks', { lockError: 'EOPNOTSUPP' }],
    ['locks', { lockError: 'ENOLCK' }], // to SQLite that is a lock that others have: the answer takes 10 s
    ['shared memory mappings', { mapError: 'ENODEV' }],
  ] as const)('without %s (%o) is refused, and the answer says where "data_dir" must be', async (what, errors) => {
    await using lab = await Lab.open();
    const store = new Store(lab, RANGE);
    const refused = {
      code: 5,
      message: expect.stringMatching(
        new RegExp(`its file system does not support ${what} \\(.*\\): "data_dir" must be on a local disk$`),
      ),
    };
    const env = await faults(store, errors);
    expect(await store.fails('ADD', 'a', { env })).toMatchObject(refused);
    await store.add('a');
    const both = await Promise.all([store.fails('ADD', 'b', { env }), store.fails('DEL', 'a', { env })]);
    expect(both).toMatchObject([refused, refused]);
    expect(heldIn(store)).toEqual(['a']);
  });
});

/** A store in which these pods are, over and over. */
async function storeOf(lab: Lab, ids: readonly string[]) {
  const store = new Store(lab, RANGE);
  for (const id of ids) {
    await store.add(id);
  }
  const copy = `${store.folder}-copy`;
  cpSync(store.folder, copy, { recursive: true });
  const renew = () => {
    rmSync(store.folder, { recursive: true });
    cpSync(copy, store.folder, { recursive: true });
  };
  return { store, renew };
}

/** What others find after it. */
async function goOn(store: Store, before: readonly string[], what: string): Promise<void> {
  const now = heldIn(store);
  expect(new Set(now).size, what).toBe(now.length);
  expect(now, what).toEqual(expect.arrayContaining(before.filter((id) => id !== 'x')));
  const given = [...(await store.add('other')), ...(await store.add('x'))];
  const lowest = before.includes('first') ? 2 : 1;
  expect(given.toSorted(), what).toEqual([lowest, lowest + 1].map((last) => `10.5.0.${last}/24`));
}

describe.each([
  { what: 'the first ADD', verb: 'ADD', before: [] },
  { what: 'an ADD', verb: 'ADD', before: ['first'] },
  { what: 'a DEL', verb: 'DEL', before: ['first', 'x'] },
])('$what', ({ verb, before }) => {
  it.each([
    { error: 'ENOSPC', isOnce: false },
    { error: 'EROFS', isOnce: false },
    { error: 'EIO', isOnce: true },
  ] as const)(
    'that meets $error at any of its steps fails cleanly, or has done its work',
    async ({ error, isOnce }) => {
      await using lab = await Lab.open();
      const { store, renew } = await storeOf(lab, before);
      let failed = 0;
      for (let from = 1, isMet = true; isMet; from++) {
        renew();
        const outcome = await store.call(verb, 'x', { env: await faults(store, { from, error, isOnce }) });
        isMet = effectsOf(outcome) >= from;
        const what = `${error} at ${from}: ${outcome.stdout}${outcome.stderr}`;
        if (outcome.exitCode === 0) {
          expect(heldIn(store).includes('x'), what).toBe(verb === 'ADD');
        } else {
          failed++;
          expect(errorOf(outcome), what).toMatchObject({ code: 5 });
        }
        await goOn(store, before, what);
      }
      expect(failed).toBeGreaterThan(4);
    },
    600_000,
  );

  it('that is killed after any of its steps keeps nobody from going on', async () => {
    await using lab = await Lab.open();
    const { store, renew } = await storeOf(lab, before);
    for (let last = 1, isKilled = true; isKilled; last++) {
      renew();
      const outcome = await store.call(verb, 'x', { env: await killedAfter('whereabouts', lab.dir, last) });
      isKilled = outcome.signal !== undefined;
      await goOn(store, before, `killed after effect ${last} (${stepsOf(outcome).at(-1) ?? 'none'})`);
      expect(last).toBeGreaterThan(isKilled ? 0 : 6);
    }
  }, 600_000);
});
