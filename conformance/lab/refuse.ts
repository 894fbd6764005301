/** Calls that must be refused with the right code, the right words, and nothing changed. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, type TestOptions } from 'vitest';
import { eventually } from './eventually.ts';
import { Lab, type Pod } from './lab.ts';
import { errorOf } from './printed.ts';
import type { Call } from './programs.ts';
import { filesIn, settledStateOf, stateOf } from './state.ts';

/** A call that must fail. */
export interface Row {
  readonly title: string;
  /** the difference that it shows */
  readonly shows?: TestOptions['tags'];
  readonly conf: unknown;
  readonly call?: Partial<Call>;
  /** made before: links, files, fake plugins; may return more of the call */
  readonly prepare?: (lab: Lab, pod: Pod) => unknown;
  readonly code: number | readonly number[];
  /** each must be in the message */
  readonly says?: readonly (string | RegExp)[];
}

/** What a failed call must have left as it was. */
async function everything(lab: Lab, pod: Pod) {
  const states = await Promise.all([stateOf(lab.node), stateOf(pod.name)]);
  const lasting = Object.entries(filesIn(lab.dir)).filter(
    ([name]) => !/\/(lock|last_reserved_ip\.\d+|\.owners|)$|\.db-shm$/.test(name),
  );
  return { states, files: Object.fromEntries(lasting) };
}

/** `{dir}` in a configuration is the lab's folder. */
export const placed = (conf: unknown, lab: Lab): unknown =>
  typeof conf === 'object' && !Buffer.isBuffer(conf)
    ? JSON.parse(JSON.stringify(conf).replaceAll('{dir}', lab.dir))
    : conf;

/**
 * `{dir}/disk`, on which nothing more has place.
 *
 * @param before what is on it already: an empty file, or a folder when it ends with a slash
 */
export async function fullDisk(lab: Lab, before = '/'): Promise<string> {
  const disk = await lab.smallDisk('disk');
  const path = join(disk, before);
  mkdirSync(before.endsWith('/') ? path : dirname(path), { recursive: true });
  if (!before.endsWith('/')) {
    writeFileSync(path, '');
  }
  await lab.execute(['dd', 'if=/dev/zero', `of=${disk}/filler`, 'bs=4k', 'count=64']);
  return disk;
}

/** Makes the call, and looks at what it says and what it has changed. */
export async function refuse(
  plugin: string,
  { conf, call = {}, prepare, code, says = [] }: Row,
  verb = 'ADD',
): Promise<void> {
  await using lab = await Lab.open();
  const pod = await lab.pod();
  for (const folder of ['store', 'cni']) {
    mkdirSync(join(lab.dir, folder));
  }
  const more = await prepare?.(lab, pod);
  await Promise.all([lab.node, pod.name].map(settledStateOf));
  const before = await everything(lab, pod);
  const outcome = await lab.call({
    verb,
    plugin,
    conf: placed(conf, lab),
    netns: pod.path,
    ...call,
    ...(typeof more === 'object' ? more : {}),
  });
  const error = errorOf(outcome);
  const codes = typeof code === 'number' ? [code] : code;
  expect({ exit: outcome.exitCode, code: error.code, text: error.message }).toEqual({
    exit: 1,
    code: expect.toBeOneOf(codes),
    text: expect.any(String),
  });
  for (const words of says) {
    expect(error.message).toMatch(typeof words === 'string' ? escaped(words) : words);
  }
  expect(error.message).toMatch(/^[^\n]*[^.\n]$/); // one line, no full stop
  await eventually(() => everything(lab, pod), before);
}

const escaped = (text: string): RegExp => new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
