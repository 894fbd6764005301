/** A program: does with the store of a folder what stdin says, line by line, and answers each with a line. */
import { createInterface } from 'node:readline';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { type Database, openDatabase } from '../../../lib/sys/database.ts';
import { databaseIn } from '../embedded/place.ts';
import { readSequence } from '../embedded/sequence.ts';
import { rangesOf, reserved, storeIn } from './fixtures.ts';
import type { Answer } from './other-process.ts';

let [, , folder = ''] = process.argv;
const RANGES = rangesOf('10.0.0.0/16');
const scope = fakeScope();
let store = storeIn(folder, scope);

const VERBS: Readonly<Record<string, (...words: readonly string[]) => Promise<Answer>>> = {
  /** `add CONTAINER` */
  add: async (id = '') => ({ addresses: await reserved(store, `a/${id} net1 ${id}`, RANGES) }),
  /** `go FOLDER`: what follows is about another store */
  go: async (other = '') => {
    folder = other;
    store = storeIn(folder, scope);
    return {};
  },
  /** `del CONTAINER` */
  del: async (id = '') => ({ count: (await store.release({ id, ifname: 'net1' })).length }),
  /** `churn PREFIX WIDTH MS`: so many pods come and go at once, over and over */
  churn: async (prefix = '', width = '1', ms = '0') => {
    const ids = Array.from({ length: Number(width) }, (_, index) => `${prefix}${index}`);
    let count = 0;
    for (const end = performance.now() + Number(ms); performance.now() < end; count += 2) {
      await Promise.all(ids.map((id) => reserved(store, `a/${id} net1 ${id}`, RANGES)));
      await Promise.all(ids.map((id) => store.release({ id, ifname: 'net1' })));
    }
    return { count };
  },
  /** `sql STATEMENTS`: as somebody does with a program of his own, who leaves the database open */
  sql: async (...words) => {
    database ??= await openDatabase(databaseIn(folder, readSequence(folder)?.id ?? ''));
    database.exec(words.join(' '));
    return {};
  },
};
let database: Database | undefined;

for await (const line of createInterface({ input: process.stdin })) {
  const [verb = '', ...words] = line.split(' ');
  const answer = await VERBS[verb]?.(...words).catch(({ code, message }) => ({ error: { code, message } }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
